"""Many pictures: which go where (planning), what became of them (jobs, report), and doing it (engine, workers).

Nothing here is imported before it is needed: a worker process sets its number of threads first.
"""
