"""One shard of a run, for whichever `fiftyone delegated launch` takes it up."""

from dataclasses import asdict
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_plugin.errors import RunError
from fiftyone_plugin.labels import Shown
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.results import outputs_of
from fiftyone_plugin.operators.streaming import run_work
from fiftyone_plugin.runs import Stop, Tell
from fiftyone_plugin.sharding import run_shard

__all__ = ["OPERATORS", "WorkOnShard"]


class WorkOnShard(foo.Operator):
    """Work on one part of a run's samples; the same shard twice writes each sample once."""

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as: no form, since `queue_shards` fills it in."""
        return foo.OperatorConfig(
            name="work_on_shard",
            label="A shard of a run (sam-plugins)",
            description="Queued by 'Runs' where the work is shared among launchers.",
            unlisted=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            risk_level=types.RiskLevel.MEDIUM,
        )

    def resolve_run_name(self, ctx: Any) -> str:
        """What the list of delegated operations calls it."""
        index, count = ctx.params.get("index"), ctx.params.get("count")
        return f"{ctx.params.get('run_id')}: shard {index} of {count}"

    def execute(self, ctx: Any) -> Any:
        """Do it."""
        dataset, retry = form.open_dataset(ctx), bool(ctx.params.get("retry"))
        run_id, index, count = (ctx.params.get(name) for name in ("run_id", "index", "count"))
        if not (isinstance(run_id, str) and isinstance(index, int) and isinstance(count, int)):
            raise RunError(
                "Expected run_id, index and count of a shard, found "
                f"{run_id!r}, {index!r} and {count!r}: queue shards from 'Runs'."
            )

        shown = ctx.params.get("shown")

        def work(progress: Tell, stop: Stop) -> dict[str, Any]:
            report = run_shard(
                dataset.name,
                run_id,
                index,
                count,
                shown=None if shown is None else Shown.from_json(shown),
                retry=retry,
                progress=progress,
                stop=stop,
            )
            return {"run_id": run_id, "index": index, "count": count, **asdict(report)}

        return run_work(ctx, work, self.resolve_output)

    def resolve_output(self, ctx: Any) -> Any:
        """What became of it."""
        return outputs_of(ctx, "A shard of a run")


OPERATORS = [WorkOnShard]
