"""One option per layer under caps and couplings: exact Pareto points with certificates, by Pyomo and HiGHS.

The types a problem is made of are in ``dse.solve.problem``, those that come back in ``dse.solve.result``.
"""

from dse.solve.dominance import nondominated
from dse.solve.evaluate import evaluate
from dse.solve.explain import explain
from dse.solve.front import optimise
from dse.solve.problem import LayerTable, Problem
from dse.solve.single import solve_single

__all__ = ["LayerTable", "Problem", "evaluate", "explain", "nondominated", "optimise", "solve_single"]
