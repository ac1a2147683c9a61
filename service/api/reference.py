"""The reference page: the OpenAPI written out for reading, as plain HTML without scripts."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

REFERENCE = "#/components/schemas/"
METHODS = ("get", "put", "post", "patch", "delete")

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --link: #1668c1 }
@media (prefers-color-scheme: dark) { :root { --link: #7db7f5 } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem 1.2rem 6rem }
h1 { margin-bottom: 0 } h2 { margin-top: 3rem; border-bottom: 1px solid var(--line) }
a { color: var(--link); text-decoration: none } a:hover { text-decoration: underline }
code, pre { font: 13px/1.45 ui-monospace, monospace } pre { background: var(--soft); padding: .7rem; overflow: auto }
table { border-collapse: collapse; width: 100% }
td, th { border-top: 1px solid var(--line); padding: .3rem .5rem .3rem 0; text-align: left; vertical-align: top }
summary { cursor: pointer; padding: .35rem 0 } details { border-top: 1px solid var(--line) }
details > div { padding: 0 0 1rem 1rem }
.m { display: inline-block; min-width: 4.2rem; font-weight: 600; text-transform: uppercase; font-size: 12px }
.q { opacity: .7 } nav a { margin-right: .8rem }
"""


def page(made: dict[str, Any]) -> str:
    """The whole page."""
    info = made["info"]
    tags = [tag["name"] for tag in made["tags"]]
    sections = "".join(_section(made, tag) for tag in made["tags"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])} API</title><style>{STYLE}</style>"
        f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1>{_text(info['description'])}"
        f'<p><a href="openapi.json">openapi.json</a></p>'
        f"<nav>{''.join(f'<a href=#{tag}>{tag}</a>' for tag in tags)}<a href=#events-told>events told</a>"
        f"<a href=#shapes>shapes</a></nav>{_security(made)}{sections}{_events(made)}{_shapes(made)}</html>"
    )


def _security(made: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{escape(scheme['description'])}"
        for name, scheme in made["components"]["securitySchemes"].items()
    )
    how = "<p><code>Authorization: Bearer …</code> with one of</p>"
    return f"<h2 id=credentials>Credentials</h2>{how}<table>{rows}</table>"


def _section(made: dict[str, Any], tag: dict[str, str]) -> str:
    operations = "".join(
        _operation(made, path, method, item[method])
        for path, item in made["paths"].items()
        for method in METHODS
        if method in item and tag["name"] in item[method].get("tags", ())
    )
    return f"<h2 id={tag['name']}>{tag['name']}</h2>{_text(tag['description'])}{operations}" if operations else ""


def _operation(made: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    credentials = " or ".join(name for each in operation["security"] for name in each) or "no credential"
    parameters = "".join(
        f"<tr><td><code>{escape(item['name'])}</code> <span class=q>{item['in']}</span><td>{_kind(item['schema'])}"
        for item in operation.get("parameters", ())
    )
    bodies = operation.get("requestBody", {}).get("content", {})
    body = " ".join(f"{_kind(content['schema'])} <code>{escape(name)}</code>" for name, content in bodies.items())
    answers = "".join(_answer(made, status, response) for status, response in operation["responses"].items())
    return (
        f"<details id={operation['operationId']}><summary><span class=m>{method}</span> <code>{escape(path)}</code> "
        f"<span class=q>{escape(operation['summary'])}</span></summary><div>{_text(operation.get('description', ''))}"
        f"<p class=q>{escape(credentials)}</p>"
        + (f"<table>{parameters}</table>" if parameters else "")
        + (f"<p>Body: {body}</p>" if body else "")
        + f"<table>{answers}</table></div></details>"
    )


def _answer(made: dict[str, Any], status: str, response: dict[str, Any]) -> str:
    if reference := response.get("$ref"):
        response = made["components"]["responses"][reference.rpartition("/")[2]]
    kinds = " ".join(
        _kind(content["schema"]) for content in response.get("content", {}).values() if "schema" in content
    )
    return f"<tr><td><code>{status}</code><td>{_text(response.get('description', ''))}<td>{kinds}"


def _events(made: dict[str, Any]) -> str:
    names = "".join(f"<li><code>{escape(name)}</code>" for name in made["webhooks"])
    return f"<h2 id=events-told>Events told</h2><p>To webhooks, sockets and feeds alike.</p><ul>{names}</ul>"


def _shapes(made: dict[str, Any]) -> str:
    shapes = "".join(_shape(name, shape) for name, shape in sorted(made["components"]["schemas"].items()))
    return f"<h2 id=shapes>Shapes</h2>{shapes}"


def _shape(name: str, shape: dict[str, Any]) -> str:
    required = set(shape.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{'' if field in required else ' <span class=q>optional</span>'}"
        f"<td>{_kind(kind)}"
        for field, kind in shape.get("properties", {}).items()
    )
    examples = "".join(
        f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"
        for example in shape.get("examples", ())
    )
    values = "" if rows else f"<p>{_kind(shape)}</p>"
    return (
        f"<details id=shape-{escape(name)}><summary><code>{escape(name)}</code></summary><div>"
        f"{_text(shape.get('description', ''))}{values}<table>{rows}</table>{examples}</div></details>"
    )


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if reference := schema.get("$ref"):
        name = escape(reference.removeprefix(REFERENCE))
        return f'<a href="#shape-{name}">{name}</a>'
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(_kind(part) for part in schema[several])
    if "enum" in schema:
        return " ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if schema.get("type") == "array":
        return "list of " + _kind(schema.get("items", {}))
    return escape(" ".join((str(schema.get("type", "any")), *_bounds(schema))))


def _bounds(schema: dict[str, Any]) -> Iterator[str]:
    names = (("format", "{}"), ("minimum", "≥ {}"), ("maximum", "≤ {}"), ("maxLength", "≤ {} characters"))
    for name, words in (*names, ("default", "= {}")):
        value = schema.get(name)
        if value is not None:
            yield words.format(int(value) if isinstance(value, float) and value.is_integer() else value)


def _text(markdown: str) -> str:
    """Paragraphs, lists and `code` of a docstring."""
    parts = []
    for block in markdown.strip().split("\n\n"):
        lines = [_code(line) for line in block.splitlines()]
        if lines and all(line.startswith("- ") for line in lines):
            parts.append("<ul>" + "".join(f"<li>{line[2:]}" for line in lines) + "</ul>")
        elif lines:
            parts.append(f"<p>{' '.join(lines)}</p>")
    return "".join(parts)


def _code(line: str) -> str:
    pieces = escape(line).split("`")
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))
