"""Writes an evaluation as evaluation.json, evaluation.md and plots."""
from __future__ import annotations

import json
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

from data import CLASS_IDS, PUBLIC_FINGERPRINT  # noqa: E402
from engine import Answers  # noqa: E402
from metrics import pr_curve, risk_coverage, roc_curve  # noqa: E402

# The training project this one grew from: one figure for all, F1 of at least this in each class.
SEED_ACCURACY, SEED_F1 = 0.9396, 0.91
OTHER_DATA = ("**The weights have learnt from other data or splits than these.** If any of these test films was among those "
              "that they learnt from, as for the weights that ship most of the COVID-19 Radiography Database's were, the "
              "figures flatter.")
OTHER_DECODER = ("The changed films, the full image among them, were decoded and stretched to 224 pixels in Python and handed\n"
                 "on as PNG; the films of the test split are files that the engine decodes by itself. So the full image's\n"
                 "figures differ a little from those.")
ONE_COLLECTION = "Between classes of one collection; view (AP or PA) and file path may still differ:"


def write(result: dict, answers: Answers, labels: np.ndarray, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(_rounded(result), indent=1) + "\n")
    (folder / "evaluation.md").write_text(markdown(result))
    plot_confusion(np.array(result["test"]["confusion"]), folder / "confusion.svg")
    plot_curves(answers.probabilities, labels, folder / "curves.svg")
    plot_calibration(result["test"]["reliability"], answers.probabilities, labels, folder / "calibration.svg")


def _rounded(value):
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return round(value, 5) if isinstance(value, float) else value


def table(header: list[str], rows: list[list]) -> str:
    """A Markdown table, its last line ended."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def _interval(v: dict[str, float]) -> str:
    return f"{v['value']:.4f} ({v['low']:.4f} to {v['high']:.4f})"


def decimal(value: float | None) -> str:
    """A figure, or a dash where there was nothing to take it of."""
    return "-" if value is None else f"{value:.4f}"


def percent(value: float | None, digits: int = 1) -> str:
    """As a percentage, or a dash where there was nothing to take it of."""
    return "-" if value is None else f"{100 * value:.{digits}f}%"


def unread(rows: dict[object, dict]) -> str:
    """What is to be added to a table of refusals if the engine could not read some of the images."""
    count = sum(row.get("unread", 0) for row in rows.values())
    return f"\n{count} further images could not be read.\n" if count else ""


def markdown(result: dict) -> str:
    """The whole report."""
    parts = ["# Evaluation\n\nWritten by `model/evaluate.py` through the C engine. Classes are the argmax of the four "
             "logits; the gate and `uncertain` are reported apart. Intervals are 95%, by bootstrap.\n",
             "" if result["same_data"] else f"\n{OTHER_DATA}\n", _test_section(result), _groups_section(result),
             _gate_section(result["gate"]), _robustness_section(result)]
    if result["external"]:
        parts.append(_external_section(result["external"], result["external_left_out"]))
    return "".join(parts)


def _test_section(result: dict) -> str:
    t, f, d = result["test"], result["float"], result["test"]["doubt"]
    rows = [["accuracy", _interval(t["accuracy"]), SEED_ACCURACY],
            ["accuracy, re-weighted to the published class frequencies", _interval(t["reweighted_accuracy"]), "-"],
            ["macro F1", _interval(t["macro_f1"]), "-"],
            ["lowest F1 of a class", f"{min(c['f1']['value'] for c in t['classes'].values()):.4f}", f"{SEED_F1} or more"],
            ["ECE (15 bins)", f"{t['ece']:.4f}", "-"],
            ["ECE of films the gate accepts", decimal(d["ece_accepted"]), "-"],
            ["films answered (accepted and not `uncertain`)", percent(d["answered"]), "-"],
            ["accuracy of those answers", decimal(d["accuracy_answered"]), "-"],
            ["accuracy of the surest 90% of accepted films", decimal(d["accuracy_at_90"]), "-"]]
    if f:
        rows += [["float network's accuracy", f"{f['float_accuracy']:.4f}", "-"],
                 ["agreement of engine and float network", percent(f["agreement"]), "-"]]
    text = f"\n## Test split: {t['films']} films\n\n"
    if result["data"] == PUBLIC_FINGERPRINT:
        text += table(["", "this engine", "seed project"], rows)
        text += ("\nThe seed project, from which this one grew, fine-tuned a pretrained network on the same four classes in a "
                 "notebook. Its figures are its own, on 1,059 films of its own split; they are not from the same films.\n")
    else:
        text += table(["", "this engine"], [row[:2] for row in rows])
    text += "\n" + table(["class", "films", "precision", "recall", "F1", "ROC AUC", "average precision"],
                   [[name, c["films"], *(_interval(c[k]) for k in ("precision", "recall", "f1")),
                     f"{c['roc_auc']:.4f}", f"{c['average_precision']:.4f}"] for name, c in t["classes"].items()])
    text += "\nConfusion (rows: truth, columns: engine)\n\n"
    text += table(["", *CLASS_IDS], [[name, *row] for name, row in zip(CLASS_IDS, t["confusion"])])
    return text + "\n![confusion](confusion.svg)\n![ROC and PR curves](curves.svg)\n![calibration](calibration.svg)\n"


def _groups_section(result: dict) -> str:
    """By age group and source, and the most confident mistakes."""
    rows = [[field.replace("_", " "), name, g["films"], f"{g['accuracy']:.4f}", percent(g["refused"])]
            for field, groups in result["groups"].items() for name, g in groups.items()]
    mistakes = [[m["id"], m["source"], m["truth"], m["answer"], f"{m['probability']:.3f}", m["verdict"]]
                for m in result["mistakes"]]
    return ("\n## Groups\n\nSource and age group are guesses of the manifest; sex and origin are unknown.\n\n"
            + table(["by", "group", "films", "accuracy", "refused"], rows)
            + "\n## Most confident mistakes\n\n"
            + table(["film", "source", "truth", "answer", "probability", "verdict"], mistakes))


def gate_table(negatives: dict[str, dict]) -> str:
    """What is done with images that are no upright frontal chest films."""
    rows = [[kind, g["images"], "yes" if g["trained_on"] else "no", percent(g["refused"]), percent(g["righted"])]
            for kind, g in negatives.items()]
    return table(["kind", "images", "kind in training", "refused", "righted and answered"], rows) + unread(negatives)


def _gate_section(gate: dict) -> str:
    return (f"\n## Gate\n\nOf the test films {percent(gate['films_refused'])} are refused, and "
            f"{percent(gate['films_turned'])} are accepted only after a turn that they did not need. What is no "
            "upright frontal chest film should be refused, or, if it is a turned or inverted film, righted.\n\n"
            + gate_table(gate["negatives"]))


def _robustness_section(result: dict) -> str:
    text = "\n## What it looks at\n\nThe test films with parts masked or changed.\n\n"
    text += table(["films", "accuracy", "re-weighted", "mean AUC", "refused"],
                   [[name, f"{m['accuracy']:.4f}", f"{m['reweighted_accuracy']:.4f}", f"{m['mean_auc']:.4f}",
                     percent(m["refused"])] for name, m in result["masks"].items()])
    text += f"\n{OTHER_DECODER}\n"
    if result["contrasts"]:
        text += f"\n{ONE_COLLECTION}\n\n"
        text += table(["contrast", "films", "AUC", "accuracy"],
                       [[n, c["films"], f"{c['auc']:.4f}", f"{c['accuracy']:.4f}"]
                        for n, c in result["contrasts"].items()])
    text += f"\n## Corruptions\n\nAccuracy on {result['corruption_films']} test films, by strength.\n\n"
    rows = [[name, *(f"{s[str(i)]['accuracy']:.3f}" for i in range(1, 6))]
            for name, s in result["corruptions"].items()]
    means = [np.mean([s[str(i)]["accuracy"] for s in result["corruptions"].values()]) for i in range(1, 6)]
    return text + table(["", "1", "2", "3", "4", "5"], rows + [["mean", *(f"{m:.3f}" for m in means)]])


def _external_section(external: dict, left_out: int) -> str:
    text = (f"\n## External sets, untouched\n\nNone of them was used for training, and {left_out} images of theirs are left out "
            "that look like a film of the data set, or come twice. Their labels are their own. "
            "`recall` and `as` go by the most likely class, whatever the verdict.\n")
    for name, labels in external.items():
        rows = [[label, r["images"], f"{r['recall']:.3f}" if "recall" in r else "-", *r["argmax"].values(),
                 percent(r["refused"]), percent(r["uncertain"])] for label, r in labels.items()]
        text += f"\n### {name}\n\n" + table(["label", "images", "recall", *(f"as {c}" for c in CLASS_IDS), "refused",
                                              "uncertain"], rows) + unread(labels)
    return text


def plot_confusion(matrix: np.ndarray, path: Path) -> None:
    figure, axis = plt.subplots(figsize=(5, 4.4))
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(matrix.shape):
        axis.text(j, i, matrix[i, j], ha="center", va="center", color="white" if shares[i, j] > 0.5 else "black")
    axis.set_xticks(range(len(CLASS_IDS)), CLASS_IDS, rotation=20)
    axis.set_yticks(range(len(CLASS_IDS)), CLASS_IDS)
    axis.set(xlabel="engine", ylabel="truth")
    save_figure(figure, path)


def plot_curves(p: np.ndarray, labels: np.ndarray, path: Path) -> None:
    figure, (roc, pr) = plt.subplots(1, 2, figsize=(10, 4.2))
    for c, name in enumerate(CLASS_IDS):
        fpr, tpr, area = roc_curve(p[:, c], labels == c)
        roc.plot(fpr, tpr, label=f"{name}: {area:.4f}")
        recall, precision, area = pr_curve(p[:, c], labels == c)
        pr.plot(recall, precision, label=f"{name}: {area:.4f}")
    roc.set(xlabel="false-positive rate", ylabel="true-positive rate", title="ROC")
    pr.set(xlabel="recall", ylabel="precision", title="precision and recall")
    roc.legend()
    pr.legend()
    save_figure(figure, path)


def plot_calibration(bins: list[dict], p: np.ndarray, labels: np.ndarray, path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2))
    left.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    left.scatter([b["confidence"] for b in bins], [b["accuracy"] for b in bins],
                 s=[8 + 120 * b["count"] / len(p) for b in bins])
    left.set(xlabel="confidence", ylabel="accuracy", title="reliability (area: share of films)")
    coverage, accuracy = risk_coverage(p, labels)
    right.plot(coverage, accuracy)
    right.set(xlabel="coverage", ylabel="accuracy", title="risk and coverage", ylim=(min(0.95, accuracy[-1] - 0.01), 1.001))
    save_figure(figure, path)


def save_figure(figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
