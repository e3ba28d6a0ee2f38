"""THIRD, front, in `intake.sources`. PostgreSQL, by psycopg 3 and its own libpq.

What lives here: sessions and their limits (`session`), what an error means to a DBA (`errors`), the columns of a table
as they are (`columns`), three ways to take rows (`table`, `procedures`, `view`), the result table (`results`), what
``source check`` finds (`survey`), and `source`, which holds them together.

Two rules keep it so. Every statement runs on a session that gives it up by itself, and is given up from outside when
the server says nothing; a session of which that happened is never used again. And a way to take rows knows no
connection: it says statements to a ``Session`` that it is handed, each a transaction of its own.
"""

from mgate.intake.sources.postgresql.source import PostgreSQL

__all__ = ["PostgreSQL"]
