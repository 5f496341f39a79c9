"""All commands in one app."""

import typer

from muniment.cli import (
    bundles,
    deployments,
    flags,
    gating,
    inspect,
    keys,
    lineage,
    models,
    operate,
    policies,
    predictions,
    proofs,
    reports,
    reviews,
    rules,
    start,
    testing,
)

app = typer.Typer(
    name="muniment",
    help="The record room of machine learning.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    start,
    gating,
    models,
    deployments,
    bundles,
    testing,
    inspect,
    lineage,
    proofs,
    reports,
    predictions,
    operate,
    flags,
    reviews,
    rules,
):
    module.add(app)
app.add_typer(keys.app, name="keys")
app.add_typer(policies.app, name="policy")
app.add_typer(proofs.signing_key, name="signing-key")
app.add_typer(operate.dead_letters, name="dead-letters")
