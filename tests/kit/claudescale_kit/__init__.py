"""What a container registry would have given, built once from Debian packages and Go modules.

Standard library only, Python 3.9 or newer: it runs before the project's own environment exists.
"""
