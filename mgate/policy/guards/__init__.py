"""Guards: what may not leave, or not now, whoever asks. Facts and a moment in, a named answer out.

What lives here: the hours of a class (`quiet`), what a text may not hold (`text`), how often one number may be written
to (`counting`, whose cells somebody else keeps), and when a range of numbers is being pumped (`pumping`). What does
not: the cells themselves, the settings, and what a client is told.

Two rules keep it so. A guard that is not sure lets pass: a code that is held back wrongly costs a customer her payment.
And nothing here keeps a number or a text.
"""
