"""Google's JSON APIs, as far as the recipe uses them: `app` is the door, `routing` the table, one module for each API.

State is rows in the world's tables; what takes time is an operation with a due time. No module keeps anything of its
own.
"""
