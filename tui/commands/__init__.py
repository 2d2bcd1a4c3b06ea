"""The commands of ``mcig``, a module for each group.

A command takes what was typed and a console and returns an exit code; whatever is heavy is imported inside it.
"""
