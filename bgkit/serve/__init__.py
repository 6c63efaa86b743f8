"""The HTTP server: a skin over pipelines and worker processes, as the command line is.

``settings`` says what an operator may set, ``catalog`` which pipelines there are, ``intake`` how a request's picture
and fields come in, ``works`` sends them to the workers and waits; ``native``, ``rembg`` and ``removebg`` are three
interfaces to the same work, ``gate`` is what every request passes, ``app`` puts them together. ``page/`` holds the
files of the page at ``/``.
"""
