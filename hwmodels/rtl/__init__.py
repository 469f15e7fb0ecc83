"""Verilog of the units that datapaths are made of: generators, from a family's parameters to a module."""
