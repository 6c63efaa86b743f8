"""What the options of other background removers mean, as bgkit's pipelines: one module for each.

Nothing of HTTP is in here: the server reads fields and hands them on.
"""
