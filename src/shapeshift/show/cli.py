"""The command line. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from shapeshift.show.choices import check_nuisance, check_shape, check_warps, options_of, reading_of
from shapeshift.show.terminal import Commands, log, show, watched

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tells where from what in stacks of signals or images: how each is moved or turned, and its shape.",
)

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help=".csv, .tsv, .txt (also .gz), .npy, .npz, .h5, .nc, .mat, .zarr, .jdx, .wdf and more",
    ),
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder that `fit` wrote, or a .safetensors file.")]
Array = Annotated[str | None, typer.Option(help="Which array, where a file holds several.")]
AxisName = Annotated[
    str | None,
    typer.Option("--axis", help="Which array or column is the axis; or none; in a table also row, column."),
]
Orientation = Annotated[
    Literal["rows", "columns"] | None, typer.Option(help="What one signal is; found out by default.")
]
Kind = Annotated[Literal["signal", "image"], typer.Option(help="What one measurement is.")]
KindOfModel = Annotated[
    Literal["signal", "image"] | None, typer.Option(help="What one measurement is; by default as in the fit.")
]
ImageShape = Annotated[
    str | None,
    typer.Option(
        callback=check_shape, metavar="ROWS,COLUMNS", help="Of images that come flattened; else square."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there, once the new is complete.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
FigureFormat = Annotated[
    Literal["png", "svg", "pdf"], typer.Option(help="Format of the figures beside the report.")
]


def _print_version(asked: bool) -> None:
    if asked:
        from shapeshift import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    n: Annotated[int, typer.Option(min=100, help="Number of signals.")] = 5000,
    seed: Annotated[int, typer.Option(min=0, help="Of signals and fits.")] = 1,
    force: Force = False,
    json: Json = False,
) -> None:
    """The article's experiment: peaks of unknown place and width, told apart."""
    _set_up()
    from shapeshift.show.demo import run_demo

    result = run_demo(out, n=n, seed=seed, force=force, progress=log)
    show({"report": str(out / "report.html"), **result}, as_json=json)


@app.command()
def info(
    data: Data,
    array: Array = None,
    axis: AxisName = None,
    orientation: Orientation = None,
    kind: Kind = "signal",
    image_shape: ImageShape = None,
    json: Json = False,
) -> None:
    """What is in a file: dimensions, axis, units, range, noise, and what was found out by itself."""
    from shapeshift.data.files import open as open_signals
    from shapeshift.show.info import describe, in_lines

    reading = reading_of(kind, array=array, axis=axis, orientation=orientation, image_shape=image_shape)
    found = describe(open_signals(data, **reading))
    show(found if json else in_lines(found), as_json=json)


@app.command()
def fit(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder to write the run into.")],
    array: Array = None,
    axis: AxisName = None,
    orientation: Orientation = None,
    kind: Kind = "signal",
    image_shape: ImageShape = None,
    n_latent: Annotated[int, typer.Option(min=1, help="Shape latents; those not needed collapse.")] = 2,
    n_classes: Annotated[
        int | None, typer.Option(min=2, help="Kinds of patterns to be told apart; by default one.")
    ] = None,
    decoder: Annotated[
        Literal["template", "coordinate"], typer.Option(help="The fast one, or the article's.")
    ] = "template",
    encoder: Annotated[
        Literal["dense", "conv"] | None, typer.Option(help="Of images: fully connected (default) or not.")
    ] = None,
    likelihood: Annotated[
        Literal["auto", "gaussian", "student-t", "poisson", "bernoulli", "continuous-bernoulli"],
        typer.Option(help="Kind of noise; auto finds out."),
    ] = "auto",
    warps: Annotated[
        str | None,
        typer.Option(
            callback=check_warps,
            metavar="NAMES",
            help="What may move a pattern: shift (default); of images any of rotation,shift,scale, by "
            "default rotation,shift. none is the ordinary VAE.",
        ),
    ] = None,
    rotation_sd: Annotated[
        float | None, typer.Option(help="Prior sd of an image's rotation, degrees; found out by default.")
    ] = None,
    shift_sd: Annotated[
        float | None, typer.Option(help="Prior sd of the shift, axis units; found out by default.")
    ] = None,
    scale_sd: Annotated[
        float | None, typer.Option(help="Prior sd of an image's log scale; found out by default.")
    ] = None,
    zero: Annotated[
        Literal["reference", "peak", "centroid"] | None,
        typer.Option(help="What shift 0 of signals means: reference (default), peak or centroid."),
    ] = None,
    nuisance: Annotated[
        str | None,
        typer.Option(
            callback=check_nuisance,
            metavar="NAMES",
            help="What each signal has of its own, of gain,offset,baseline; or none; found out by default.",
        ),
    ] = None,
    normalise: Annotated[
        Literal["none", "max", "area", "sd", "minmax"], typer.Option(help="Of every signal by itself.")
    ] = "none",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes through the data; found out by default.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same machine: same numbers.")] = 0,
    format: FigureFormat = "png",
    progress: Annotated[
        bool | None, typer.Option(help="Progress bar on stderr; by default if that is a terminal.")
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="EPOCHS",
            help="Write the state of the fit down every so many epochs, in OUT.checkpoint beside OUT; it is "
            "deleted when the run is complete.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a run that was killed, same data and options: it ends with the same numbers as "
            "if it had not been. Begins where there is no state, and does nothing where the run is complete. "
            "States are written every 10 epochs unless --checkpoint-every says otherwise.",
        ),
    ] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Fit a model: shifts or poses with error bars, shapes, and a report."""
    reading = reading_of(kind, array=array, axis=axis, orientation=orientation, image_shape=image_shape)
    given = {
        "n_latent": n_latent,
        "n_classes": n_classes,
        "image_shape": image_shape,
        "warps": warps,
        "decoder": decoder,
        "encoder": encoder,
        "likelihood": likelihood,
        "rotation_sd": rotation_sd,
        "shift_sd": shift_sd,
        "scale_sd": scale_sd,
        "zero": zero,
        "nuisance": nuisance,
        "normalise": normalise,
        "epochs": epochs,
        "progress": watched() if progress is None else progress,
        "random_state": seed,
    }
    options = options_of(kind, given)
    _set_up()
    from shapeshift.show.tasks import Manner, fit_file
    from shapeshift.show.together import help_fit, together

    task = data, out, options, reading, Manner(format, force, checkpoint_every, resume)
    with together() as first:
        if first:
            show(fit_file(*task), as_json=json)
        else:
            help_fit(*task)


@app.command()
def transform(
    run: Run,
    data: Data,
    out: Annotated[Path, typer.Option(help="To write: a .csv or .nc file, or a .zarr folder.")],
    array: Array = None,
    axis: AxisName = None,
    orientation: Orientation = None,
    kind: KindOfModel = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Shifts, or poses, and shapes of new signals or images, by a model fitted before.

    Large .zarr, .h5, .hdf5 and .npy files are read and written a block at a time.
    """
    _set_up()
    from shapeshift.show.tasks import transform_file

    reading = reading_of(kind, array=array, axis=axis, orientation=orientation)
    show(transform_file(run, data, out, reading, force=force), as_json=json)


@app.command()
def report(
    run: Run,
    data: Data,
    out: Annotated[Path, typer.Option(help="Report to write: .html.")] = Path("report.html"),
    array: Array = None,
    axis: AxisName = None,
    orientation: Orientation = None,
    kind: KindOfModel = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """The report on signals or images, by a model fitted before."""
    _set_up()
    from shapeshift.show.tasks import report_file

    reading = reading_of(kind, array=array, axis=axis, orientation=orientation)
    show(report_file(run, data, out, reading, force=force), as_json=json)


@app.command()
def explore(
    run: Run,
    data: Annotated[
        Path | None, typer.Argument(help="File of signals or images. By default that of the run.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Their posterior, as transform wrote it. By default that of the run.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of this machine; 0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    array: Array = None,
    axis: AxisName = None,
    orientation: Orientation = None,
    kind: KindOfModel = None,
) -> None:
    """Linked views in the browser: map, signal, shapes. This machine alone is served; ctrl-C ends it."""
    _set_up()
    from shapeshift.show.explorer import explorer
    from shapeshift.show.served import serve

    reading = reading_of(kind, array=array, axis=axis, orientation=orientation)
    with explorer(run, data, results, reading) as found:
        serve(found.ask, port, browser=browser)


@app.command()
def export(
    run: Run,
    out: Annotated[Path, typer.Option(help="File to write: .onnx.")],
    steps: Annotated[
        int, typer.Option(min=0, help="Refining steps of Gaussian signals; 0 is the encoder alone.")
    ] = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """A model fitted before as one ONNX file, for boards that have no PyTorch."""
    _set_up()
    from shapeshift.show.tasks import export_file

    show(export_file(run, out, steps=steps, force=force), as_json=json)


@app.command()
def compare(
    data: Data,
    array: Array = None,
    axis: AxisName = None,
    orientation: Orientation = None,
    n_latent: Annotated[int, typer.Option(min=1, help="Most shape latents tried.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the split and the fits.")] = 0,
    json: Json = False,
) -> None:
    """Race correlation, PCA, NMF, VAE and shift-VAE; recommend the simplest that does the job."""
    _set_up()
    from shapeshift.show.race import compare_file

    reading = reading_of("signal", array=array, axis=axis, orientation=orientation)
    compare_file(data, reading, n_latent=n_latent, seed=seed, as_json=json)


def _set_up() -> None:
    """Settings of the whole process, which a library must not touch."""
    if os.environ.get("RANK", "0") == "0":  # of processes that torchrun has started, one speaks
        log("loading ...")
    import torch

    torch.set_flush_denormal(True)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
