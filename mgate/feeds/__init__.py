"""The way back to the bank: the journal as its clients read it, in order, each at its own pace.

Here live the feeds of the push API: cursors, the lines of events, the runs of the journal that are open in memory, and
who waits for the next event; and those that mgate hands on itself, write-backs into databases and webhooks, which read
through the same stream by a ``Tap``. What happens to a message is decided elsewhere; here it is only told.

Three rules. A client is shown its own events and no others. Nothing here holds up a commit: what is asked goes to a
reader's thread of its own, what is opened and written is done on the reactor in slices of about a millisecond (a second
thread that computes would take the interpreter's lock from the first at each call into the cipher or the database), and
what waits costs a row in a table, no thread and no timer. An event is never passed over in silence: what cannot be told
any more is answered 410, with the cursor from which it goes on.
"""
