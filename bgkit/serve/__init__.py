"""The HTTP server: a skin over pipelines and worker processes, as the command line is.

``settings`` is what an operator may set, ``running`` the process, ``intake`` how a request's picture and fields come
in, ``fields`` how fields are declared, ``works`` sends pictures to the workers and waits; ``native``, ``rembg`` and
``removebg`` are three interfaces to the same work (:mod:`bgkit.dialects` knows what the others' fields mean), ``wall``
shows a watched folder, ``gate`` is what every request passes, ``app`` puts them together. ``page/`` holds the files of
the page at ``/``.
"""
