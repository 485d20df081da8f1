"""What a query may say over the wire: one JSON document, checked before anything is looked up."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["MOST_HITS", "Crop", "Example", "Question"]

MOST_HITS = 1000
MOST_EXAMPLES = 100
LONGEST_CODE = 65_536

Crop = Annotated[
    tuple[float, float, float, float],
    Field(description="A part of the film: left, top, right, bottom, as shares of its width and height, 0 to 1."),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Example(_Strict):
    """One film: by the id of a film of the index, as a film that was sent before, or as a code."""

    id: Annotated[str | None, Field(max_length=1000, description="Id of a film of the index.")] = None
    upload: Annotated[
        str | None, Field(max_length=100, description="Name of a film that was sent to /api/v1/uploads.")
    ] = None
    code: Annotated[
        list[float] | None, Field(max_length=LONGEST_CODE, description="Its code, as long as those of the index.")
    ] = None
    crop: Crop | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Example":
        if sum(value is not None for value in (self.id, self.upload, self.code)) != 1:
            raise ValueError("give exactly one of id, upload and code")
        if self.crop is not None:
            left, top, right, bottom = self.crop
            if self.code is not None:
                raise ValueError("crop goes with id or upload: a code has no pixels")
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ValueError(
                    "crop is left, top, right, bottom with 0 <= left < right <= 1 and 0 <= top < bottom <= 1"
                )
        return self


class Question(_Strict):
    """A query: one film (id, upload, code), or several examples of one query (positives, negatives)."""

    index: Annotated[str | None, Field(description="Name of an index that is served; the first one if not given.")] = (
        None
    )
    id: Annotated[str | None, Field(max_length=1000, description="Id of a film of the index.")] = None
    upload: Annotated[
        str | None, Field(max_length=100, description="Name of a film that was sent to /api/v1/uploads.")
    ] = None
    code: Annotated[
        list[float] | None, Field(max_length=LONGEST_CODE, description="A code, as long as those of the index.")
    ] = None
    crop: Crop | None = None
    positives: Annotated[
        list[Example | str], Field(max_length=MOST_EXAMPLES, description="Films, or ids, that hits shall be like.")
    ] = []
    negatives: Annotated[
        list[Example | str], Field(max_length=MOST_EXAMPLES, description="Films, or ids, that hits shall not be like.")
    ] = []
    negative_weight: Annotated[
        float | None, Field(ge=0, description="Weight of the negatives; Index.query_examples has the default.")
    ] = None
    k: Annotated[int, Field(ge=1, le=MOST_HITS, description="Hits.")] = 10
    ranking: Annotated[
        str | None, Field(max_length=300, description='As "nearest" or "alpha_qe:n=20"; none: as the index was tuned.')
    ] = None
    options: Annotated[
        dict[str, Any] | None, Field(description="Options of the ranking, in the place of those in its name.")
    ] = None
    where: Annotated[
        dict[str, Any] | None,
        Field(description='Column -> value, list of values, or comparisons, as {"age": {">=": 60}}.'),
    ] = None
    exclude: Annotated[
        Literal["patient"] | None, Field(description='"patient": no film of the patient of the query.')
    ] = None
    patient: Annotated[
        str | None, Field(max_length=300, description="With exclude: the patient of a query that is not in the index.")
    ] = None
    group_by: Annotated[
        str | None, Field(max_length=300, description='At most one film of each value of a column, as "patient".')
    ] = None
    fill: Annotated[bool, Field(description="Complete a short list with the nearest remaining films.")] = True
    search: Literal["auto", "exact", "graph"] = "auto"
    alarm_level: Annotated[
        float, Field(gt=0, lt=1, description="Share of ordinary queries that nothing_similar may be true for.")
    ] = 0.01
    why: Annotated[bool, Field(description="Say of every hit why it is there.")] = True

    @model_validator(mode="after")
    def _is_one_query(self) -> "Question":
        single = [value is not None for value in (self.id, self.upload, self.code)]
        if self.positives:
            if any(single) or self.crop is not None:
                raise ValueError("give either positives (and negatives), or one of id, upload and code")
        elif self.negatives:
            raise ValueError("negatives need at least one positive, which says what is looked for")
        else:
            self.film()
        return self

    def film(self) -> Example:
        """The one film that is asked for, where there are no positives."""
        return Example(id=self.id, upload=self.upload, code=self.code, crop=self.crop)

    def examples(self, which: Literal["positives", "negatives"]) -> list[Example]:
        """The films of one side."""
        given = self.positives if which == "positives" else self.negatives
        return [Example(id=entry) if isinstance(entry, str) else entry for entry in given]
