"""Synthesis of units with open tools: flows, batches, the rows they make."""
