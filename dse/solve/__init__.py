"""One option per layer under caps and couplings: exact Pareto points with certificates, by Pyomo and HiGHS."""

from dse.solve.dominance import nondominated
from dse.solve.evaluate import evaluate
from dse.solve.explain import explain
from dse.solve.front import optimise
from dse.solve.problem import AttributeObjective, Cap, Combine, Coupling, LayerTable, Problem, UtilisationObjective
from dse.solve.single import solve_single

__all__ = [
    "AttributeObjective",
    "Cap",
    "Combine",
    "Coupling",
    "LayerTable",
    "Problem",
    "UtilisationObjective",
    "evaluate",
    "explain",
    "nondominated",
    "optimise",
    "solve_single",
]
