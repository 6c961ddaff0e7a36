"""Settings of an endpoint, which a recipe and a backend validate alike: address, headers and parts of the body.

Every function raises ValueError with a line that begins with what it got. May import nothing of the package.
"""
