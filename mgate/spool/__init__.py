"""SECOND. Memory: the only one. If it is neither in the spool nor in the history, it did not happen.

What lives here: the life of a message (``lifecycle``, pure), what can be asked (``verbs``), how one commit answers it
(``turn`` and ``ledger``, pure), the engines that keep rows (``store`` on SQLite, ``memory`` for tests and as the
second opinion), the one writer's thread and its group commit (``service``), the sealed files of ended messages
(``history``), and the answers to questions (``desk``). What does not: any decision about money, law or time-outs
(``policy``), any way in or out.

Two rules keep it so. One thread writes, and every change of one commit is made, or none. And rows hold only sealed
octets, keyed tags and what names nobody.
"""
