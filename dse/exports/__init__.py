"""Exports: a design as a folder that other tools can build, and that shows what it computes.

The *base folder* (``manifest.json``, ``weights/``, ``tb_data/``) is written from a study by `dse.exports.parameters`.
Every *target* (`dse.exports.targets`) is made from the base folder alone, and so is every check
(`dse.exports.verification`). README.md of `dse` says what the manifest holds.
"""
