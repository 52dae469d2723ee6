"""run: one run from its start to its terminal phase.

`view` is what its reconcile looks at; `start` begins it and its attempts; `reports` takes in what pods and nodes say;
`outcome` is the table from the end of a process to what becomes of the run; `closing` writes that end; `late` finds the
pods that no attempt wants.
"""
