"""What a folder of pictures suggests: how to split it, a recipe to train by, a line file to run."""

from reference.proposal.plan import Plan, plan
from reference.proposal.sides import Sides, split
from reference.proposal.survey import Survey, survey
from reference.proposal.written import write_line

__all__ = ["Plan", "Sides", "Survey", "plan", "split", "survey", "write_line"]
