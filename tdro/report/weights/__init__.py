"""The weights of every mixture, how tDRO came to them, and how far they can be trusted.

In: weights files, trajectories and the heaviest rows. Out: tables, figures and sentences on the page.

``shares`` reads the weights files, ``courses`` the trajectories, and each shows them. From them ``stability`` says
whether weights have settled and seeds agree, ``why`` what moved each of them, ``heaviest`` which rows did, ``sweep``
how far other runs lie.
"""
