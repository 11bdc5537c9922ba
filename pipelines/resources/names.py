"""Names that Kubernetes takes, each with the reason when it would not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler


@dataclass(frozen=True)
class Form:
    """What a `str` must look like.

    Args:
        pattern: of the whole text.
        expected: the same in words, for the message.
    """

    pattern: str
    expected: str

    def check(self, written: str) -> str:
        """Return the text.

        Raises:
            ValueError: it does not look so.
        """
        if re.fullmatch(self.pattern, written) is None:
            raise ValueError(self.expected)
        return written

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return handler(Annotated[source, AfterValidator(self.check)])

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^({self.pattern})$"}


_WORD = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"

LabelKey = Annotated[
    str,
    Form(
        rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_WORD}",
        "a label's key: letters, digits, '.', '_' and '-', such as team or example.com/team",
    ),
]
LabelValue = Annotated[
    str, Form(rf"({_WORD})?", "a label's value: at most 63 letters, digits, '.', '_' and '-', no sign at its ends")
]
ObjectName = Annotated[
    str, Form(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "an object's name: small letters, digits, '-' and '.'")
]
PlainName = Annotated[
    str, Form(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "a name of at most 63 small letters, digits and '-'")
]
DataKey = Annotated[str, Form(r"[A-Za-z0-9._-]{1,253}", "a key of the object: letters, digits, '.', '_' and '-'")]
VariableName = Annotated[
    str, Form(r"[A-Za-z_][A-Za-z0-9_]*", "an environment variable's name: letters, digits and '_', no digit first")
]
MountPath = Annotated[str, Form(r"/[^:]+", "a folder that starts with /, without ':'")]
