"""JSON Schemas for the tests and measurements of constrained output; run as a program, it prints them, one
a line."""
import json

STRING, INTEGER, NUMBER, BOOLEAN, NULL = ({"type": kind} for kind in
                                          ("string", "integer", "number", "boolean", "null"))


def obj(properties, required=None, **more):
    return {"type": "object", "properties": properties,
            "required": list(properties) if required is None else required,
            "additionalProperties": False, **more}


def arr(items, **more):
    return {"type": "array", "items": items, **more}


SCHEMAS = [
    {},
    STRING, INTEGER, NUMBER, BOOLEAN, NULL,
    {"type": ["string", "null", "integer"]},
    {"type": "object"},
    {"type": "array"},
    {"type": "string", "minLength": 3, "maxLength": 8},
    {"type": "string", "minLength": 12},
    {"type": "string", "maxLength": 0},
    {"type": "string", "maxLength": 300},
    {"type": "string", "pattern": "^[A-Z]{2}[0-9]{4}$"},
    {"type": "string", "pattern": "^(\\([0-9]{3}\\))?[0-9]{3}-[0-9]{4}$"},
    {"type": "string", "pattern": "cat|dog"},
    {"type": "string", "pattern": "^[^a-z\"\\\\]+$", "minLength": 1},
    {"type": "string", "pattern": "^\\w+\\s\\S\\d\\D\\W$"},
    {"type": "string", "pattern": "^[\\u00e0-\\u00ff日本]{1,4}\\.$"},
    {"type": "string", "pattern": "a\\tb\\n"},
    *({"type": "string", "format": name} for name in
      ("date", "time", "date-time", "uuid", "email", "ipv4", "ipv6", "hostname", "uri", "duration")),
    {"type": "integer", "minimum": 0, "maximum": 150},
    {"type": "integer", "minimum": -273},
    {"type": "integer", "exclusiveMinimum": 9, "exclusiveMaximum": 1001},
    {"type": "integer", "maximum": -17},
    {"type": "integer", "multipleOf": 12},
    {"type": "integer", "multipleOf": 7, "minimum": 30, "maximum": 400},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "number", "minimum": -1.5, "exclusiveMaximum": 2.25},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 0.02},
    {"type": "number", "exclusiveMinimum": 0},
    {"type": "number", "minimum": 99.5, "maximum": 100.5},
    {"enum": ["red", "green", "blue", 3, None, True, {"a": [1, 2]}, "re\"d\\", "naïve"]},
    {"const": {"fixed": ["value", 1.5]}},
    {"type": "string", "enum": ["a", "ab", "abc", 7]},
    obj({"name": STRING, "age": INTEGER}),
    obj({"name": STRING, "age": INTEGER, "mail": {"type": "string", "format": "email"}}, ["name"]),
    obj({"a": BOOLEAN, "b": BOOLEAN, "c": BOOLEAN, "d": BOOLEAN}, [], minProperties=2,
        maxProperties=3),
    {"type": "object", "additionalProperties": INTEGER},
    {"type": "object", "additionalProperties": STRING, "minProperties": 1, "maxProperties": 3},
    {"type": "object", "properties": {"na": STRING, "name": INTEGER, "nämlich": NULL},
     "additionalProperties": BOOLEAN},
    {"type": "object", "properties": {"id": INTEGER}, "required": ["id", "extra"]},
    {"type": "object", "patternProperties": {"^x-[a-z]+$": INTEGER}, "additionalProperties": False},
    {"type": "object", "properties": {"id": INTEGER}, "required": ["id"],
     "patternProperties": {"^x_": STRING}, "additionalProperties": False},
    obj({"quote\"back\\slash": INTEGER, "": NULL}),
    arr(STRING, minItems=2, maxItems=4),
    arr({"type": "integer", "minimum": 1, "maximum": 6}, maxItems=3),
    arr(obj({"x": NUMBER, "y": NUMBER}), minItems=1),
    arr(arr(INTEGER, minItems=2, maxItems=2), minItems=1),
    {"type": "array", "prefixItems": [STRING, INTEGER, BOOLEAN], "items": False, "minItems": 3},
    {"type": "array", "prefixItems": [STRING], "items": NUMBER},
    {"anyOf": [STRING, INTEGER]},
    {"anyOf": [{"type": "string", "maxLength": 3}, {"enum": ["longer", "longest"]}]},
    {"oneOf": [obj({"kind": {"const": "circle"}, "radius": NUMBER}),
               obj({"kind": {"const": "square"}, "side": NUMBER})]},
    {"oneOf": [STRING, arr(STRING), NULL]},
    {"oneOf": [{"type": "integer", "maximum": 3}, {"type": "integer", "minimum": 9}]},
    {"allOf": [obj({"a": INTEGER, "b": STRING}, ["a"]) | {"additionalProperties": True},
               {"required": ["b"], "properties": {"b": {"maxLength": 4}}}]},
    {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 20}, {"minimum": 5}]},
    {"type": "object", "properties": {"v": INTEGER}, "required": ["v"],
     "anyOf": [{"properties": {"a": STRING}, "required": ["a"]},
               {"properties": {"b": NULL}, "required": ["b"]}]},
    obj({"tree": {"$ref": "#/$defs/node"}}, **{"$defs": {"node": obj(
        {"value": INTEGER, "children": arr({"$ref": "#/$defs/node"}, maxItems=3)})}}),
    {"$ref": "#/definitions/list", "definitions": {"list": {"anyOf": [NULL, obj(
        {"head": STRING, "tail": {"$ref": "#/definitions/list"}})]}}},
    obj({"self": {"anyOf": [{"$ref": "#"}, NULL]}}),
    {"$ref": "#/$defs/a~1b", "maximum": 4, "$defs": {"a/b": {"type": "integer", "minimum": 1}}},
    obj({"title": {"type": "string", "minLength": 1, "maxLength": 60},
         "tags": arr({"type": "string", "pattern": "^[a-z][a-z0-9-]{0,15}$"}, maxItems=5),
         "published": {"type": "string", "format": "date"},
         "rating": {"type": "number", "minimum": 0, "maximum": 5},
         "author": obj({"name": STRING, "id": {"type": "string", "format": "uuid"}}, ["name"]),
         "status": {"enum": ["draft", "review", "final"]}},
        ["title", "tags", "status"]),
    obj({"tool": {"const": "search"}, "arguments": obj(
        {"query": STRING, "limit": {"type": "integer", "minimum": 1, "maximum": 50},
         "filters": {"type": "object", "additionalProperties": {"type": ["string", "number"]}}},
        ["query"])}),
    {"$comment": "a note", "title": "T", "description": "d", "default": 3, "examples": [1],
     "type": "integer", "x-note": True},
]

# keyword → a schema that must be refused with its JSON pointer.
REFUSED = {
    "/not": {"not": STRING},
    "/if": {"if": STRING, "then": {"maxLength": 3}},
    "/properties/a/contains": obj({"a": {"type": "array", "contains": INTEGER}}),
    "/uniqueItems": {"type": "array", "uniqueItems": True},
    "/dependentRequired": {"type": "object", "dependentRequired": {"a": ["b"]}},
    "/oneOf": {"oneOf": [{"type": "string", "minLength": 2}, {"type": "string", "maxLength": 5}]},
    "/format": {"type": "string", "format": "iri"},
    "/pattern": {"type": "string", "pattern": "(a)\\1"},
    "/maxLength": {"type": "string", "pattern": "^a+$", "maxLength": 5},
    "/multipleOf": {"type": "number", "multipleOf": 0.01},
    "/$ref": {"$ref": "https://example.org/schema"},
    "/minProperties": {"type": "object", "minProperties": 2},
}

if __name__ == "__main__":
    for schema in SCHEMAS:
        print(json.dumps(schema))
