"""Bundles of Python code, and the trees that boards make of them. docs/bundles.md has the formats.

rules      what sluice.json says, and what a member may be called
container  the bundle: members in a tar in a gzip, written and strictly read
tree       the file that a board imports from, and the record of the trees that run
make       a bundle of a folder, of one file, or of this installation's firmware
"""
