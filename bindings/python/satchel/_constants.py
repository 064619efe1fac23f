"""The constants of satchel.h that the binding names. tests/python compares them with the header."""

CONSTANTS = {
    "SATCHEL_OK": 0,
    "SATCHEL_OUT_OF_MEMORY": -2,
    "SATCHEL_NOT_FOUND": -5,
    "SATCHEL_CANCELLED": -11,
    "SATCHEL_UNSUPPORTED": -13,
    "SATCHEL_INVALID_TEXT": -17,
    "SATCHEL_CALLBACK": -22,
    "SATCHEL_LOG_ERROR": 1,
    "SATCHEL_LOG_WARNING": 2,
    "SATCHEL_LOG_INFO": 3,
    "SATCHEL_LOG_DEBUG": 4,
    "SATCHEL_CPU_DEFAULT": 0,
    "SATCHEL_CPU_C": 1,
    "SATCHEL_CPU_AVX2": 10,
    "SATCHEL_CPU_AVXVNNI": 11,
    "SATCHEL_CPU_AVX512": 12,
    "SATCHEL_CPU_NEON": 20,
    "SATCHEL_CPU_DOTPROD": 21,
    "SATCHEL_CPU_I8MM": 22,
    "SATCHEL_ROLE_DOCUMENT": 0,
    "SATCHEL_ROLE_QUERY": 1,
    "SATCHEL_POOLING_DEFAULT": 0,
    "SATCHEL_POOLING_MEAN": 1,
    "SATCHEL_POOLING_CLS": 2,
    "SATCHEL_POOLING_LAST": 3,
    "SATCHEL_MODEL_EMBEDDER": 1,
    "SATCHEL_MODEL_GENERATOR": 2,
    "SATCHEL_KV_DEFAULT": 0,
    "SATCHEL_KV_F16": 1,
    "SATCHEL_KV_Q8_0": 2,
    "SATCHEL_KV_F32": 3,
    "SATCHEL_OVERFLOW_ERROR": 0,
    "SATCHEL_OVERFLOW_SHIFT": 1,
    "SATCHEL_FINISH_NONE": 0,
    "SATCHEL_FINISH_END": 1,
    "SATCHEL_FINISH_LENGTH": 2,
    "SATCHEL_FINISH_STOP": 3,
    "SATCHEL_FINISH_CONTEXT": 4,
    "SATCHEL_LOCATOR_PAGE": 1,
    "SATCHEL_LOCATOR_SLIDE": 2,
    "SATCHEL_LOCATOR_HEADING": 3,
    "SATCHEL_LOCATOR_TIME": 4,
    "SATCHEL_SEARCH_DEFAULT": 0,
    "SATCHEL_SEARCH_KEYWORD": 1,
    "SATCHEL_SEARCH_VECTOR": 2,
    "SATCHEL_SEARCH_HYBRID": 3,
    "SATCHEL_ANSWER_DEFAULT": 0,
    "SATCHEL_ANSWER_EXTRACTIVE": 1,
    "SATCHEL_ANSWER_GENERATED": 2,
    "SATCHEL_ANSWER_EXTERNAL": 3,
    "SATCHEL_REASON_NONE": 0,
    "SATCHEL_REASON_REQUESTED": 1,
    "SATCHEL_REASON_NO_GENERATOR": 2,
    "SATCHEL_REASON_EMPTY_STORE": 3,
    "SATCHEL_REASON_NO_EVIDENCE": 4,
    "SATCHEL_REASON_WEAK_EVIDENCE": 5,
    "SATCHEL_REASON_NO_EMBEDDER": 6,
    "SATCHEL_REASON_GENERATOR": 7,
    "SATCHEL_REASON_DECLINED": 8,
    "SATCHEL_EVENT_MODE": 1,
    "SATCHEL_EVENT_HITS": 2,
    "SATCHEL_EVENT_TOKEN": 3,
    "SATCHEL_EVENT_CITATION": 4,
    "SATCHEL_EVENT_REFUSAL": 5,
    "SATCHEL_EVENT_PROGRESS": 6,
    "SATCHEL_EVENT_FILE": 7,
    "SATCHEL_EVENT_DONE": 8,
    "SATCHEL_PHASE_SCAN": 1,
    "SATCHEL_PHASE_KEYWORDS": 2,
    "SATCHEL_PHASE_EMBED": 3,
    "SATCHEL_PHASE_LOAD": 4,
    "SATCHEL_PHASE_CLUSTER": 5,
    "SATCHEL_PHASE_DESCRIBE": 6,
    "SATCHEL_PHASE_WARM": 7,
    "SATCHEL_PHASE_PREFILL": 8,
    "SATCHEL_FILE_ADDED": 1,
    "SATCHEL_FILE_CHANGED": 2,
    "SATCHEL_FILE_REMOVED": 3,
    "SATCHEL_FILE_FAILED": 4,
    "SATCHEL_FILE_SKIPPED": 5,
    "SATCHEL_FILE_RENAMED": 6,
    "SATCHEL_KMEANS_EUCLIDEAN": 0,
    "SATCHEL_KMEANS_INNER_PRODUCT": 1,
    "SATCHEL_KMEANS_EXACT": 0,
    "SATCHEL_KMEANS_FAST": 1,
    "SATCHEL_INIT_DEFAULT": 0,
    "SATCHEL_INIT_GIVEN": 1,
    "SATCHEL_INIT_RANDOM": 2,
    "SATCHEL_INIT_PLUS_PLUS": 3,
    "SATCHEL_INIT_PARALLEL": 4,
    "SATCHEL_STOP_ITERATIONS": 1,
    "SATCHEL_STOP_UNCHANGED": 2,
    "SATCHEL_STOP_TOLERANCE": 3,
}


class Names:
    """Strings for a family of constants: "hybrid" for SATCHEL_SEARCH_HYBRID.

    `only`: of a prefix that two families share, the names of this one, which is called `what`.
    """

    def __init__(self, family: str, what: str = "", only: "tuple[str, ...]" = ()) -> None:
        prefix = f"SATCHEL_{family}_"
        self.family = what or family.lower()
        self._value = {name[len(prefix):].lower(): value for name, value in CONSTANTS.items()
                       if name.startswith(prefix) and (not only or name[len(prefix):] in only)}
        self._name = {value: name for name, value in self._value.items()}

    def value(self, name: "str | None") -> int:
        """The constant for a name; None is the library's default."""
        if name is None:
            return 0
        try:
            return self._value[name]
        except KeyError:
            choices = ", ".join(repr(choice) for choice in self._value)
            raise ValueError(f"{self.family} {name!r} is none of {choices}") from None

    def name(self, value: int) -> str:
        return self._name.get(value, f"unknown {value}")


SEARCH = Names("SEARCH")
ANSWER = Names("ANSWER")
REASON = Names("REASON")
PHASE = Names("PHASE")
FILE = Names("FILE")
POOLING = Names("POOLING")
ROLE = Names("ROLE")
KIND = Names("MODEL", "kind")
KV = Names("KV", "kv type")
OVERFLOW = Names("OVERFLOW")
FINISH = Names("FINISH")
CPU = Names("CPU")
LOG = Names("LOG")
STOP = Names("STOP")
OBJECTIVE = Names("KMEANS", "objective", ("EUCLIDEAN", "INNER_PRODUCT"))
MODE = Names("KMEANS", "mode", ("EXACT", "FAST"))
