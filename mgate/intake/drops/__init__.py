"""Drop folders: files of a batch job, each taken once, and what became of every row written back beside them.

What lives here: names and manifests, unpacking, encodings, the reading of CSV and NDJSON into rows, the rules of a row,
the folder itself, the book of what was answered, and the course of one file through them. What does not: when the
folder is looked at (``daemon.drops``), and whatever happens to a message once acceptance has it.

Three rules keep it so. Nothing of a file is submitted before all of it was read once and its manifest held. A file is
moved before it is opened, so that whoever put it there cannot change what its name means. And nothing of a row is told
but its line, its ref and the word of its fault: never the text, never the number, in no result, no log and no answer.

Rows are read and checked on the reactor in runs of a millisecond or two; what waits for a disk, and what the
interpreter computes without its lock (hashes, unpacking, the book's database), runs on a thread.
"""
