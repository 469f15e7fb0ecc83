"""Designs as studies find them, in C++: the whole network on more than 500 vectors, every layer, every cast."""

from __future__ import annotations

import pytest

from tests.dse.exports.hls.shown_designs import designs_of


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["digits-mlp", "digits", "digits-deep"])
def test_designs_compute_the_golden_outputs(check, workload):
    found, designs = designs_of(workload, 5)
    assert len({design.formats.text for design in designs}) == 5
    for design in designs:
        manifest = check(found, design)
        assert manifest.entries["vectors"]["count"] >= 500
