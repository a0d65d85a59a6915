"""The comparison engine: `compile_rules` once per reload, `compare` per pair, `Redactor` before anything is kept."""

from strangler.core.compare.accept_rules.accept import RuleUseState, expired_rules
from strangler.core.compare.accept_rules.acceptance import Acceptance, acceptance, path_steps
from strangler.core.compare.accept_rules.compile import compile_rules
from strangler.core.compare.accept_rules.jsonpath import PatternError, parse_pattern
from strangler.core.compare.accept_rules.proposals import propose
from strangler.core.compare.accept_rules.rules import NO_RULES, CompareRules, EndpointRules
from strangler.core.compare.engine import compare, match_at_sight, second_look
from strangler.core.compare.model.conditions import NO_CONDITIONS, RequestConditions, conditions_of, may_decide
from strangler.core.compare.model.endpoint_names import EndpointNames, endpoint_shape
from strangler.core.compare.model.noise import NoiseCount
from strangler.core.compare.model.signature import (
    comparison_signature,
    signature,
    signature_path,
    status_key,
)
from strangler.core.compare.model.values import (
    Comparison,
    Difference,
    Kind,
    Outcome,
    Reason,
    Response,
    Severity,
    Where,
    not_comparable,
)
from strangler.core.compare.redaction.plain_json import KeptValue
from strangler.core.compare.redaction.redact import Redactor
from strangler.core.compare.redaction.redact_difference import KeptDifference, redact_difference, redact_differences
from strangler.core.compare.sample import Sample, redact_sample

__all__ = [
    "NO_CONDITIONS",
    "NO_RULES",
    "Acceptance",
    "CompareRules",
    "Comparison",
    "Difference",
    "EndpointNames",
    "EndpointRules",
    "KeptDifference",
    "KeptValue",
    "Kind",
    "NoiseCount",
    "Outcome",
    "PatternError",
    "Reason",
    "Redactor",
    "RequestConditions",
    "Response",
    "RuleUseState",
    "Sample",
    "Severity",
    "Where",
    "acceptance",
    "compare",
    "comparison_signature",
    "compile_rules",
    "conditions_of",
    "endpoint_shape",
    "expired_rules",
    "match_at_sight",
    "may_decide",
    "not_comparable",
    "parse_pattern",
    "path_steps",
    "propose",
    "redact_difference",
    "redact_differences",
    "redact_sample",
    "second_look",
    "signature",
    "signature_path",
    "status_key",
]
