"""Writes an evaluation as evaluation.json, evaluation.md and plots, with the figures of an earlier version for comparison."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from dataset.records import CLASS_IDS, PUBLIC_FINGERPRINT
from evaluation.engine import Answers
from evaluation.plots import plot_calibration, plot_confusion, plot_curves
from evaluation.redrawn import ANSWERED, FLIPPED, WRONG

BASELINE = "baseline-0.9.0.json"
OTHER_DATA = ("**The weights have learnt from other data or splits than these.** If they have learnt from some of these test images, "
              "the figures are too high.")
DRAWN_HERE = ("Here Python decoded all images, the full ones too, and passed them on as PNG. In the sections above, the engine decoded "
              "the files itself. So the figures of the full image differ a little.")
ONE_COLLECTION = "Between classes of one collection, where the view (AP or PA) and the patient's age may still differ:"


def write(result: dict, answers: Answers, labels: np.ndarray, folder: Path) -> None:
    """All files of the report; `answers` and `labels` are those of the test split."""
    folder.mkdir(parents=True, exist_ok=True)
    result = rounded(result)
    (folder / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "evaluation.md").write_text(markdown(result, baseline_of(result, folder)))
    plot_confusion(np.array(result["test"]["confusion"]), folder / "confusion.svg")
    plot_curves(answers.probabilities, labels, folder / "curves.svg")
    plot_calibration(result["test"]["reliability"], answers.probabilities, labels, folder / "calibration.svg")


def baseline_of(result: dict, folder: Path) -> dict:
    """The figures of version 0.9.0 on the same images, or nothing if they are of others."""
    path = folder / BASELINE
    baseline = json.loads(path.read_text()) if path.is_file() else {}
    return baseline if baseline.get("data") == result["data"] else {}


def rounded(value):
    """Floats to five digits."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return round(value, 5) if isinstance(value, float) else value


# ---- words and tables ----


def table(header: list[str], rows: list[list]) -> str:
    """A Markdown table, its last line ended."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def decimal(value: float | None, digits: int = 4) -> str:
    """A figure, or a dash where there was nothing to measure."""
    return "-" if value is None else f"{value:.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A percentage, or a dash where there was nothing to measure."""
    return "-" if value is None else f"{100 * value:.{digits}f}%"


def interval(v: dict[str, float] | None, digits: int = 3) -> str:
    """A figure with its 95% interval."""
    return "-" if v is None else f"{v['value']:.{digits}f} ({v['low']:.{digits}f} to {v['high']:.{digits}f})"


def percents(v: dict[str, float] | None) -> str:
    """A share with its 95% interval."""
    return "-" if v is None else f"{percent(v['value'])} ({percent(v['low'])} to {percent(v['high'])})"


def at(tree: dict, *keys: str):
    """What lies under these keys, or None."""
    for key in keys:
        tree = (tree or {}).get(key)
    return tree


def beside(rows: list[tuple], result: dict, baseline: dict) -> str:
    """Rows (name, text of a figure, keys) of the same figures of both versions."""
    header, parts = ["", "this version"], [result]
    if baseline:
        header, parts = [*header, baseline["version"]], [result, baseline]
    return table(header, [[name, *(words(at(part, *keys)) for part in parts)] for name, words, keys in rows])


def unread(rows: dict[object, dict]) -> str:
    """A sentence below a table of refusals if the engine could not read some of the images."""
    count = sum(row.get("unread", 0) for row in rows.values())
    return f"\n{count} further images could not be read.\n" if count else ""


# ---- sections ----


def markdown(result: dict, baseline: dict) -> str:
    """The whole report."""
    parts = ["# Evaluation\n\nWritten by `model/evaluate.py` through the C engine. Intervals are 95%, by bootstrap, "
             "and by patient where patients are known. A verdict is what a user sees: a class, `uncertain`, or a refusal. The most "
             "likely class is the one with the highest probability, whatever the verdict.\n",
             "" if result["same_data"] else f"\n{OTHER_DATA}\n"]
    if "siim" in result:
        parts.append(_siim_section(result, baseline))
    if result["contrasts"]:
        parts.append(f"\n{ONE_COLLECTION}\n\n" + contrasts_table(result["contrasts"]))
    parts += [_redrawn_section(result["redrawn"], baseline), _maps_section(result["maps"])]
    if result["external"]:
        parts.append(_external_section(result, baseline))
    parts += [_test_section(result, baseline), _groups_section(result), _gate_section(result["gate"]),
              _robustness_section(result, baseline)]
    return "".join(parts)


def collection(result: dict) -> str:
    """What to call the collection in siim/."""
    return "SIIM-FISABIO-RSNA" if result["data"] == PUBLIC_FINGERPRINT else "SIIM (the collection in `siim/`)"


def siim_table(result: dict, baseline: dict) -> str:
    """The honest measure: AUC and confident errors."""
    rows = [(f"AUC, typical against negative, by {name}", interval, ("siim", "auc", key))
            for name, key in (("1 - P(normal)", "not normal"), ("P(COVID-19)", "covid-19"), ("the strongest opacity", "largest opacity"))]
    rows += [(f"Read as {name.replace('covid-19', 'COVID-19')}", percents, ("siim", "shares", name)) for name in result["siim"]["shares"]]
    return beside(rows, result, baseline)


def _siim_section(result: dict, baseline: dict) -> str:
    siim = result["siim"]
    header = ["reading", "images", *(f"verdict {v}" for v in siim["readings"]["typical"]["verdicts"]),
              *(f"most likely {c}" for c in CLASS_IDS)]
    rows = [[name, r["images"], *r["verdicts"].values(), *r["argmax"].values()] for name, r in siim["readings"].items()]
    return (f"\n## Within one collection: {collection(result)}, {siim['images']} test images of {siim['patients']} patients\n\n"
            "Radiologists read each image as typical, indeterminate or atypical for COVID-19, or as negative for pneumonia. All "
            "images come from the same hospitals, so recognising the source does not help.\n\n" + siim_table(result, baseline) + "\n"
            + table(header, rows) + "\nExpected calibration error (15 bins), counting typical as COVID-19 and negative as "
            f"normal: {decimal(siim['ece']['typical and negative'])}; for the images that the gate accepts "
            f"{decimal(siim['ece']['typical and negative, accepted'])}. Counting indeterminate and atypical as lung opacity: "
            f"{decimal(siim['ece']['all readings'])}.\n")


def contrasts_table(contrasts: dict) -> str:
    """Classes of one collection against each other."""
    return table(["contrast", "images", "AUC", "accuracy"],
                 [[name, c["images"], decimal(c["auc"]), decimal(c["accuracy"])] for name, c in contrasts.items()])


def redrawn_table(redrawn: dict, baseline: dict) -> str:
    """The ways of altering an image, one a row."""
    before = baseline.get("redrawn")
    header = ["change", "answered", "wrong answers", "another class", "passes"] + ([baseline["version"]] if before else [])
    rows = [["unchanged", percent(redrawn["unchanged"]["answered"]), percent(redrawn["unchanged"]["wrong"]), "-", "-"]
            + (["-"] if before else [])]
    for name, w in redrawn["ways"].items():
        row = [name, percent(w["answered"]), percent(w["wrong"]), percent(w["flipped"]), "yes" if w["holds"] else "**no**"]
        rows.append(row + ([_held(at(before, "ways", name))] if before else []))
    return table(header, rows)


def redrawn_words(redrawn: dict, baseline: dict) -> str:
    """When a change passes, and how many do."""
    unchanged = redrawn["unchanged"]["answered"]
    return (f"The model passes a change if it answers at least {percent(ANSWERED, 0)} of the images, at most {percent(WRONG, 0)} of "
            f"these answers are wrong,\nand at most {percent(FLIPPED, 0)} of the images that it answers before and after the change get "
            f"another class.\nIt passes {redrawn['hold']} of {len(redrawn['ways'])} changes"
            + (f" (version {baseline['version']}: {baseline['redrawn']['hold']})" if "redrawn" in baseline else "")
            + (f"; even of the unchanged images it answers only {percent(unchanged)}." if unchanged < ANSWERED else "."))


def _held(way: dict | None) -> str:
    if way is None:
        return "-"
    return "yes" if way["holds"] else (f"no: answered {percent(way['answered'], 0)}, wrong {percent(way['wrong'], 0)}, "
                                       f"another class {percent(way['flipped'], 0)}")


def _redrawn_section(redrawn: dict, baseline: dict) -> str:
    return (f"\n## The same image, altered: {redrawn['images']} test images\n\n" + redrawn_words(redrawn, baseline) + "\n\n"
            + redrawn_table(redrawn, baseline))


def opacities_table(opacities: dict) -> str:
    """The opacity map against radiologists' boxes, one collection a column."""
    figures = [("images with boxes; boxes; clear images", lambda o: f"{o['boxed']}; {o['boxes']}; {o['clear']}"),
               ("strongest cell of the map in a box (pointing game)", lambda o: percents(o["pointing"])),
               ("the same among cells inside the lungs", lambda o: percents(o["pointing inside the lungs"])),
               ("boxes found, at 0.5 false marks per clear image", lambda o: percent(o["sensitivity at half a false mark"])),
               ("AUC of the strongest opacity, boxed against clear", lambda o: interval(o["auc"])),
               ("the same, for boxed images read as typical", lambda o: interval(o["auc_typical"]))]
    return table(["", *opacities], [[name, *(words(o) for o in opacities.values())] for name, words in figures])


def lungs_table(lungs: dict) -> str:
    """The lung map against masks."""
    return table(["masks", "images", "mean Dice", "5th percentile of Dice", "share of the mask found"],
                 [[name, r["images"], decimal(r["dice"], 3), decimal(r["worst_twentieth"], 3), percent(r["covered"])]
                  for name, r in lungs.items()])


def _maps_section(maps: dict) -> str:
    text = ""
    if maps["opacities"]:
        text += ("\n## Opacities\n\nThe opacity map against boxes that radiologists drew. A mark is a local maximum of the map inside the "
                 "lungs. It finds a box if the centre of its cell lies in the box.\n\n" + opacities_table(maps["opacities"]))
    if maps["lungs"]:
        text += ("\n## Lungs\n\nThe network learned masks that include the heart (V7 Labs, \"darwin\"). On masks without the heart, the "
                 "Dice coefficient cannot reach 1, but the share of the mask that is found can.\n\n" + lungs_table(maps["lungs"]))
    return text


def called_a_disease(result: dict, baseline: dict) -> str:
    """Normal images of other hospitals whose verdict is a disease."""
    rows = [(f"{name}: {label} ({row['images']})", percents, ("external", name, label, "called_a_disease"))
            for name, labels in result["external"].items() for label, row in labels.items() if "called_a_disease" in row]
    return beside(rows, result, baseline) if rows else ""


def _external_section(result: dict, baseline: dict) -> str:
    text = (f"\n## Other hospitals\n\nTraining used none of these images. {result['external_left_out']} further images are left out, "
            "because they look like an image of the data set or occur twice. The labels are the sets' own. Normal images whose "
            "verdict is a disease:\n\n" + called_a_disease(result, baseline))
    if "bacterial" in result:
        r = result["bacterial"]
        verdicts = ", ".join(f"{v} {n}" for v, n in r["verdicts"].items())
        text += (f"\nVerdicts for children with bacterial pneumonia, which is none of the four classes ({r['images']} images, test "
                 f"split of a set that trained the opacity map): {verdicts}.\n")
    for name, labels in result["external"].items():
        rows = [[label, r["images"], decimal(r.get("recall"), 3), *r["verdicts"].values(), *r["argmax"].values()]
                for label, r in labels.items()]
        header = ["label", "images", "most likely class correct", *(f"verdict {v}" for v in next(iter(labels.values()))["verdicts"]),
                  *(f"most likely {c}" for c in CLASS_IDS)]
        text += f"\n### {name}\n\n" + table(header, rows) + unread(labels)
    return text


def test_table(result: dict, baseline: dict) -> str:
    """Accuracy, F1, calibration and coverage on the four classes of mixed sources."""
    rows = [("accuracy", percents, ("test", "accuracy")),
            ("accuracy, re-weighted to the published class frequencies", percents, ("test", "reweighted_accuracy")),
            ("macro F1", percents, ("test", "macro_f1"))]
    rows += [(f"F1, {c}", percents, ("test", "classes", c, "f1")) for c in CLASS_IDS]
    rows += [("accuracy with COVID-19 images that radiologists read as negative", percents, ("test_all", "accuracy")),
             ("the same, re-weighted", percents, ("test_all", "reweighted_accuracy")),
             ("expected calibration error (15 bins)", decimal, ("test", "ece")),
             ("the same for images that the gate accepts", decimal, ("test", "doubt", "ece_accepted")),
             ("images answered (accepted, not `uncertain`)", percent, ("test", "doubt", "answered")),
             ("accuracy of those answers", percent, ("test", "doubt", "accuracy_answered")),
             ("accuracy of the most confident 90% of accepted images", percent, ("test", "doubt", "accuracy_at_90"))]
    return beside(rows, result, baseline)


def _test_section(result: dict, baseline: dict) -> str:
    t, f = result["test"], result["float"]
    left_out = result["test_all"]["images"] - t["images"]
    text = f"\n## Four classes of mixed sources: {t['images']} test images\n\n"
    text += (f"{left_out} images are left out: a PCR test labels them COVID-19, but radiologists read clear lungs, so no reader of "
             "images can recognise them.\n\n" if left_out else "") + test_table(result, baseline)
    if f:
        text += (f"\nThe float network's accuracy is {percent(f['float_accuracy'])}; engine and float network agree on "
                 f"{percent(f['agreement'])} of the images.\n")
    text += "\n" + table(["class", "images", "precision", "recall", "F1", "ROC AUC", "average precision"],
                         [[name, c["images"], *(interval(c[k], 4) for k in ("precision", "recall", "f1")),
                           decimal(c["roc_auc"]), decimal(c["average_precision"])] for name, c in t["classes"].items()])
    text += "\nConfusion (rows: truth, columns: most likely class)\n\n"
    text += table(["", *CLASS_IDS], [[name, *row] for name, row in zip(CLASS_IDS, t["confusion"])])
    if t["warnings"]:
        text += "\nWarnings: " + ", ".join(f"{name} {percent(s)}" for name, s in t["warnings"].items()) + ".\n"
    return text + "\n![confusion](confusion.svg)\n![ROC and PR curves](curves.svg)\n![calibration](calibration.svg)\n"


def _groups_section(result: dict) -> str:
    """By age group and source, and the most confident mistakes."""
    rows = [[field.replace("_", " "), name, g["images"], percent(g["accuracy"]), decimal(g["ece"], 3), percent(g["refused"]),
             percent(g["uncertain"])]
            for field, groups in result["groups"].items() for name, g in groups.items()]
    mistakes = [[m["id"], m["source"], m["truth"], m["answer"], f"{m['probability']:.3f}", m["verdict"]]
                for m in result["mistakes"]]
    return ("\n## Groups\n\nSource and age group are guesses of the manifest; sex and ethnicity are unknown.\n\n"
            + table(["by", "group", "images", "accuracy", "calibration error", "refused", "uncertain"], rows)
            + "\n## Most confident mistakes\n\n"
            + table(["image", "source", "truth", "most likely class", "probability", "verdict"], mistakes))


def gate_table(negatives: dict[str, dict]) -> str:
    """How the engine treats images that are not upright frontal chest X-rays."""
    rows = [[kind, g["images"], "yes" if g["trained_on"] else "no", percent(g["refused"]), percent(g["turned"])]
            for kind, g in negatives.items()]
    return table(["kind", "images", "kind in training", "refused", "turned upright and answered"], rows) + unread(negatives)


def _gate_section(gate: dict) -> str:
    return (f"\n## The gate\n\nThe gate (out-of-distribution detector) refuses {percent(gate['images_refused'])} of the test images "
            f"and accepts {percent(gate['images_turned'])} only after an orientation correction that they did not need. Of real images of "
            f"other kinds it refuses {percent(gate['others_refused'])}. A frontal chest X-ray that lies on its side or is inverted "
            "should not be refused but corrected.\n\n"
            + gate_table(gate["negatives"]))


def masks_table(masks: dict, baseline: dict) -> str:
    """Test images with parts masked or changed."""
    before = baseline.get("masks")
    rows = [[name, percent(m["accuracy"]), decimal(m["mean_auc"], 3), percent(m["refused"]), percent(m["answered"])]
            + ([decimal(at(before, name, "mean_auc"), 3)] if before else []) for name, m in masks.items()]
    return table(["images", "accuracy", "mean AUC", "refused", "answered"] + ([f"mean AUC, {baseline['version']}"] if before else []), rows)


def _robustness_section(result: dict, baseline: dict) -> str:
    text = ("\n## What it looks at\n\nThe test images with parts masked or changed. The engine cuts plain borders off, so it "
            "treats a black border as a crop.\n\n" + masks_table(result["masks"], baseline) + f"\n{DRAWN_HERE}\n")
    text += f"\n## Corruptions\n\nAccuracy on {result['corruption_images']} test images, by strength.\n\n"
    rows = [[name, *(decimal(s[str(i)]["accuracy"], 3) for i in range(1, 6))] for name, s in result["corruptions"].items()]
    means = [np.mean([s[str(i)]["accuracy"] for s in result["corruptions"].values()]) for i in range(1, 6)]
    return text + table(["", "1", "2", "3", "4", "5"], rows + [["mean", *(decimal(m, 3) for m in means)]])


# ---- explain.md ----


def occlusion_table(occlusion: dict) -> str:
    """How a disease's verdict changes when parts of the lungs are covered."""
    rows = [[name, o["measured"], ground, *(f"{f[place]['fall']:.3f}" for place in ("found", "random")),
             *(percent(f[place]["verdict_kept"]) for place in ("found", "random"))]
            for name, o in occlusion.items() for ground, f in o["grounds"].items()]
    return table(["images", "measured", "covered by", "fall of 1 - P(normal): found opacities", "random places",
                  "verdict kept: found opacities", "random places"], rows)


def shuffled_words(shuffling: dict) -> str:
    """How much of the map remains when its weights are shuffled."""
    return ("When the weights of the map's last layer are shuffled, its rank correlation with the original map is "
            f"{shuffling['rank_correlation']:.2f}. Its strongest\ncell then lies in a box in {percent(shuffling['pointing_shuffled'])} of "
            f"{shuffling['images']} images; with the original weights, in {percent(shuffling['pointing'])}.")


def explanation(result: dict) -> str:
    """explain.md."""
    left_out = sum(o["left_out"] for o in result["occlusion"].values())
    text = ("# The opacity map, measured\n\nWritten by `model/explain.py` from test images whose verdict is a disease. It uses the integer "
            "reference, which gives the same bits as the engine.\n\n## Does the verdict depend on the findings?\n\nThe test covers "
            "the findings and, for comparison, as many random cells of the lungs without a finding. "
            f"{left_out} images are left out, because their findings leave too few such cells.\n\n" + occlusion_table(result["occlusion"]))
    if result["shuffling"]:
        text += f"\n## Does the map depend on its learned weights?\n\n{shuffled_words(result['shuffling'])}\n"
    return text
