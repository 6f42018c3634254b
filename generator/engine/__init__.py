"""The engine: attributes and references in, adapters and pictures out.

Plain Python. It knows nothing of Django, accounts, credits or URLs: paths and
values are passed in, values come back, and `on_step` is the only way it speaks.
`generator.engine.interface` and `generator.engine.attributes` import no torch,
so the web may import them.
"""
