"""The documents that are made of the events' models: a JSON Schema for each version, and one AsyncAPI 3 document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from inspect import getdoc
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from .catalogue import EVENTS, INSTRUCTIONS
from .event import Event, Instruction
from .versions import all_versions

Model = type[Event] | type[Instruction]
Json = dict[str, Any]

# Of the language as a whole, for the AsyncAPI document; each event has a version of its own.
_LANGUAGE_VERSION = "1.0.0"
_KAFKA_BINDING = {"bindingVersion": "0.5.0"}
_ABOUT = """\
How a customer leaves the platform: notice, ninety days of export, deletion, proof.
Every topic is named after its event. Every event is about one customer, whose id is the record's key.
What Offramp writes is a structured CloudEvent with its attributes repeated in headers. What it reads may also be
a CloudEvent in binary mode, or the plain JSON of `data` with no headers at all. Unknown fields are ignored."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Who writes and who reads which topic; a topic that isn't named is written by the event's owner."""

    writers: Mapping[str, Iterable[str]] = field(default_factory=dict)
    readers: Mapping[str, Iterable[str]] = field(default_factory=dict)


def documents(traffic: Traffic) -> dict[str, str]:
    """Make every document: text by path, relative to the folder that they are kept in."""
    made = {f"schemas/{name}.v{version}.json": _json(schema) for (name, version), schema in schemas().items()}
    return made | {"asyncapi.yaml": yaml.safe_dump(asyncapi(traffic), sort_keys=False, allow_unicode=True, width=120)}


def schemas() -> dict[tuple[str, int], Json]:
    """Make the JSON Schema (draft 2020-12) of every version of every event and instruction."""
    instructions = {(name, model.version): model for name, model in INSTRUCTIONS.items()}
    return {key: schema_of(model, *key) for key, model in (all_versions() | instructions).items()}


def schema_of(model: type[BaseModel], name: str, version: int) -> Json:
    """Make the JSON Schema of one *model* under the name by which CloudEvents' ``dataschema`` refers to it."""
    made = model.model_json_schema(schema_generator=_Schemas)
    for part in made.get("$defs", {}).values():
        _require_kind(part)
    head = {"$schema": GenerateJsonSchema.schema_dialect, "$id": f"urn:offramp:{name}:v{version}"}
    return head | made | {"title": name}


def asyncapi(traffic: Traffic) -> Json:
    """Make the AsyncAPI 3.0.0 document; 3.1 adds nothing for Kafka, and fewer tools read it."""
    models: dict[str, Model] = {**EVENTS, **INSTRUCTIONS}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Offramp", "version": _LANGUAGE_VERSION, "description": _ABOUT},
        "defaultContentType": "application/cloudevents+json",
        "channels": {name: _channel(name, model) for name, model in models.items()},
        "operations": _operations(models, traffic),
        "components": {
            "messages": {name: _message(name, model) for name, model in models.items()},
            "schemas": {"CloudEvent": _CLOUD_EVENT, "CloudEventHeaders": _CLOUD_EVENT_HEADERS},
        },
    }


class _Schemas(GenerateJsonSchema):
    """Leaves out what says nothing: titles made of fields' names, and discriminators."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def tagged_union_schema(self, schema: Any) -> Json:
        # OpenAPI's discriminator says nothing that the kinds' constants don't, and AsyncAPI has another one.
        made = super().tagged_union_schema(schema)
        made.pop("discriminator", None)
        return made


def _require_kind(part: Json) -> None:
    # In the model it has a default, for whoever makes one in Python; on the wire the kind decides what is read.
    kind = part.get("properties", {}).get("kind", {})
    if "const" in kind:
        kind.pop("default", None)
        part["required"] = ["kind", *part.get("required", ())]


def _channel(name: str, model: Model) -> Json:
    return {
        "address": name,
        "description": _first_line(model),
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {"kafka": {"topic": name, **_KAFKA_BINDING}},
    }


def _operations(models: Mapping[str, Model], traffic: Traffic) -> Json:
    sends = {name: traffic.writers.get(name, model.owner.split(", ")) for name, model in models.items()}
    return {
        f"{service}-{action}s-{name}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "title": f"{service} {action}s {name}",
            "tags": [{"name": service}],
        }
        for action, table in (("send", sends), ("receive", traffic.readers))
        for name in models
        for service in table.get(name, ())
    }


def _message(name: str, model: Model) -> Json:
    key = "customer_id" if issubclass(model, Event) else "service"
    said = {"type": {"const": name}, "data": {"$ref": f"./schemas/{name}.v{model.version}.json"}}
    key_schema = model.model_json_schema()["properties"][key]
    return {
        "name": name,
        "title": name,
        "summary": _first_line(model),
        "contentType": "application/cloudevents+json",
        "headers": {"$ref": "#/components/schemas/CloudEventHeaders"},
        "payload": {"allOf": [{"$ref": "#/components/schemas/CloudEvent"}, {"properties": said}]},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "pattern": key_schema["pattern"], "description": f"The same as data.{key}."},
                **_KAFKA_BINDING,
            }
        },
    }


def _first_line(model: type[BaseModel]) -> str:
    return (getdoc(model) or "").partition("\n")[0]


def _json(schema: Json) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _attribute(description: str, **more: str) -> Json:
    return {"type": "string", "description": description, **more}


_CLOUD_EVENT: Json = {
    "type": "object",
    "description": "CloudEvents 1.0, JSON format.",
    "required": ["specversion", "id", "source", "type", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": _attribute("With source it identifies the event, however often it arrives.", pattern="^[!-?A-~]{1,255}$"),
        "source": _attribute("Who says so, as /offramp/notice.", pattern="^[!-?A-~]{1,255}$"),
        "type": _attribute("The event's name, which is the topic's."),
        "subject": _attribute("The customer's id, if given."),
        "time": _attribute("When it was published; the record's timestamp if it isn't given.", format="date-time"),
        "datacontenttype": {"const": "application/json"},
        "dataschema": _attribute("urn:offramp:<type>:v<version>; version 1 if it isn't given."),
        "data": {"type": "object"},
    },
}
_CLOUD_EVENT_HEADERS: Json = {
    "type": "object",
    "description": "The envelope's attributes once more; a tool that drops them loses nothing.",
    "properties": {
        "content-type": {"const": "application/cloudevents+json; charset=UTF-8"},
        **{
            f"ce_{name}": {"type": "string"}
            for name in ("specversion", "id", "source", "type", "subject", "time", "dataschema")
        },
    },
}
