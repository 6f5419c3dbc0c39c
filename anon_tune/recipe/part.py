"""What all parts of a recipe share: frozen, checked, with a fingerprint."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anon_tune.errors import RecipeError

Positive = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def fingerprint(self) -> str:
        """Return 16 hex digits that change with any number of the recipe."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def refusal(error: ValidationError, where: str, remedy: str) -> RecipeError:
    """Turn the first of pydantic's complaints into one line."""
    first = error.errors()[0]
    at = ".".join(str(p) for p in first["loc"])
    got = first["input"] if at and not isinstance(first["input"], dict) else None
    rule = first["msg"].removeprefix("Value error, ")
    rule = rule[:1].lower() + rule[1:]
    return RecipeError(where, f"'{at}': {rule}" if at else rule, got, remedy)
