"""The keys of the configuration for people: what each of them means, may be, and when it acts."""

import textwrap
from collections.abc import Mapping, Sequence

from jaxloss.config import schema
from jaxloss.config.check import asked_by
from jaxloss.config.loss_names import KEYS_OF_LOSSES, listed_losses
from jaxloss.core.conditions import Asked, Condition, shown
from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.systems.registry import SYSTEMS

ALL = "all"
_WIDTH, _INDENT = 120, " " * 6


def help_text(name: str) -> str:
    """The help of a key, of a section with those inside it, or of all keys.

    Args:
      name: dotted, or `all`.

    Raises:
      UserError: for a name of neither; the nearest one is named.
    """
    keys, sections = schema.keys(), schema.sections()
    # Conditions name the parts that a registry has, whatever is asked for.
    asked = asked_by(schema.default_config())
    if name in keys:
        text = _key(keys[name], (*keys[name].section.acts_when, *keys[name].declared.acts_when), asked)
        listed = {system.name: list(system.published) for system in SYSTEMS.values() if system.published}
        return f"{text}\n\n{listed_losses(listed)}" if name in KEYS_OF_LOSSES else text
    chosen = [one for one in sections if name == ALL or (one and (one == name or one.startswith(f"{name}.")))]
    if not chosen:
        raise UserError(f"no config key or section '{name}'.{_near(name)} --help={ALL} lists all of them")
    return "\n\n".join(_section(sections[one], keys, asked) for one in chosen)


def _near(name: str) -> str:
    """What a key that there is not is called now, what takes its place, or what is like it."""
    if name in schema.moved_keys():
        return f" It is '{schema.moved_keys()[name]}' now."
    if name in schema.gone_keys():
        return f" It is gone: {schema.gone_keys()[name]}."
    return did_you_mean(name, [*filter(None, schema.sections()), *schema.keys()])


def _section(section: schema.Section, keys: Mapping[str, schema.Key], asked: Asked) -> str:
    title = (section.settings.__doc__ or "").splitlines()[0].rstrip(".")
    lines = [textwrap.fill(f"[{section.name}] {title}" if section.name else title, _WIDTH, subsequent_indent=_INDENT)]
    if section.acts_when:
        lines.append(f"  {_conditions(section.name, section.acts_when, asked)}")
    lines += [_key(key, key.declared.acts_when, asked) for key in keys.values() if key.section.name == section.name]
    return "\n".join(lines)


def _key(key: schema.Key, conditions: Sequence[Condition], asked: Asked) -> str:
    """Key and default on one line where they fit, the rest below it."""
    declared, facts = key.declared, [key.declared.meaning]
    if declared.low is not None:
        facts.append(f"from {declared.low} to {declared.high}")
    if declared.choices:
        facts.append(f"one of {', '.join(map(str, declared.choices))}")
    if declared.is_options:
        facts.append("takes any key")
    if conditions:
        facts.append(_conditions(key.name, conditions, asked))
    if declared.may_change:
        facts.append("may change when a run is continued")
    default = "{}" if declared.is_options else shown(key.default)
    text = textwrap.fill("; ".join(facts), _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    line = textwrap.fill(
        f"  --config.{key.name}={default}", _WIDTH, subsequent_indent=2 * _INDENT, break_long_words=False, break_on_hyphens=False
    )
    return f"{line}\n{text}"


def _conditions(key: str, conditions: Sequence[Condition], asked: Asked) -> str:
    words = " and ".join(condition.words(key, asked) for condition in conditions)
    return words and f"read with {words}"
