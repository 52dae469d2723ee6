"""stop: what is asked, what is accepted, and how it reaches the processes.

acceptance is the table (`accept`); `commands` judges requests and keeps their records; `deadlines` counts graces and
escalations; `delivery` says which mailboxes are written and which pods deleted.
"""
