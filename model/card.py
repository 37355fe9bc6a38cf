"""Writes model/CARD.md, the model card, from the figures that the other steps left in model/reports/."""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import cxrm
import report
from calibrate import CONFIDENCE, RISK
from corruptions import LUNGS_REMOVED
from data import CLASS_IDS, INPUT, PUBLIC_FINGERPRINT, DataError, file_digest, run_in_sentences
from explain import after_shuffling
from report import percent

MODEL = Path(__file__).parent
NAMES = dict(zip(CLASS_IDS, ("Normal", "COVID-19", "Viral pneumonia", "Lung opacity")))

# What is known of the films that the published model learned from; for others the file's notice stands.
PUBLIC_DATA = """COVID-19 Radiography Database (T. Rahman, M. Chowdhury et al., Kaggle), with images of the RSNA Pneumonia Detection
Challenge added to Lung opacity. The database collects from: RSNA and Kermany et al. (normals), Kermany et al. (viral
pneumonia), RSNA (lung opacity), BIMCV-COVID19+, COVID-CXNet, ieee8023/covid-chestxray-dataset and others (COVID-19).
Each source has its own terms, many for research only; none of the images is in this project. Splits are by the
manifest's clusters of near-duplicates; a hash of our own finds some more pairs across splits (eda.md).
The first weights were those of MobileNetV2 for ImageNet (google-coral/test_data, Apache-2.0); each version began from the
one before."""
PUBLIC_COUNTS = "Counts, sources and near-duplicates are in [reports/eda.md](reports/eda.md). "
FAILURES = """ and described in
[reports/failures.md](reports/failures.md)."""
TEST_READ = """ `test` was read twice for version 0.3, between
which only the risk that `uncertain` is set for was raised from 2% to 3%, and once for each version after it."""
MIDDLE = """, and
most evidence comes to lie in the middle, in all classes alike: starting from the centre does better than following it"""
PUBLIC_SOURCES = """COVID-19 films, viral pneumonia films and normal films come from different hospitals, machines and ages. All viral
pneumonias are children's. The border of an image alone tells child from adult, and with it much of the answer. A"""


def interval(v: dict) -> str:
    return f"{percent(v['value'])} ({percent(v['low'])} to {percent(v['high'])})"


def table(header: list[str], rows: list[list]) -> str:
    """A report's table, to stand within a line of the card."""
    return report.table(header, rows).rstrip("\n")


def figures(test: dict) -> str:
    rows = [["accuracy", interval(test["accuracy"])],
            ["accuracy at the published class frequencies", interval(test["reweighted_accuracy"])],
            ["macro F1", interval(test["macro_f1"])]]
    rows += [[f"F1, {NAMES[c]}", interval(f["f1"])] for c, f in test["classes"].items()]
    rows += [["expected calibration error (15 bins)", f"{test['ece']:.4f}"],
             ["films answered (accepted, not `uncertain`)", percent(test["doubt"]["answered"])],
             ["accuracy of those answers", percent(test["doubt"]["accuracy_answered"])],
             ["accuracy of the surest 90% of accepted films", percent(test["doubt"]["accuracy_at_90"])]]
    return table(["", f"{test['films']} test films (95% interval)"], rows)


def confounding(evaluation: dict) -> str:
    masks, contrasts = evaluation["masks"], evaluation["contrasts"]
    rows = [[name, percent(m["accuracy"]), f"{m['mean_auc']:.3f}"] for name, m in masks.items()]
    text = table(["test films with", "accuracy", "mean AUC"], rows) + f"\n\n{report.OTHER_DECODER}"
    if contrasts:
        text += f"\n\n{report.ONE_COLLECTION}\n\n"
        text += table(["contrast", "films", "AUC"], [[n, c["films"], f"{c['auc']:.3f}"] for n, c in contrasts.items()])
    return text


def shortcut(evaluation: dict) -> str:
    without = evaluation["masks"][LUNGS_REMOVED]
    return (f"The row with the lungs' box removed is the shortcut, measured: its mean AUC of {without['mean_auc']:.3f}, where 0.5 "
            f"says nothing, was not read in the lungs. The gate refuses {percent(without['refused'])} of these films.")


def gate(evaluation: dict) -> str:
    return report.gate_table(evaluation["gate"]["negatives"]).rstrip("\n")


def gate_data(evaluation: dict) -> str:
    """What trained the gate, and whether anything else tested it."""
    unseen = any(not g["trained_on"] for g in evaluation["gate"]["negatives"].values())
    return ("Images that are no frontal chest films trained the gate; others tested it, "
            + ("some of them of kinds that training never saw." if unseen else "of the same kinds."))


def external(evaluation: dict) -> str:
    everything = {(name, label): r for name, labels in evaluation["external"].items() for label, r in labels.items()}
    rows = [[name, label, r["images"], percent(r["recall"]) if "recall" in r else "-", percent(r["refused"]),
             percent(r["uncertain"])] for (name, label), r in everything.items()]
    return (table(["set", "its label", "images", "most likely class right", "refused", "uncertain"], rows)
            + report.unread(everything).rstrip("\n"))


def groups(evaluation: dict) -> str:
    rows = [[group, g["films"], percent(g["accuracy"])] for of in evaluation["groups"].values() for group, g in of.items()
            if list(of) != ["unknown"]]
    return table(["group (guessed)", "test films", "accuracy"], rows)


def corruptions(evaluation: dict) -> str:
    third = [kind["3"]["accuracy"] for kind in evaluation["corruptions"].values()]
    worst = min(evaluation["corruptions"], key=lambda k: evaluation["corruptions"][k]["3"]["accuracy"])
    return (f"Mean accuracy over {len(third)} corruptions at strength 3 of 5, of {evaluation['corruption_films']} test films: "
            f"{percent(float(np.mean(third)))}; the worst is {worst} with {percent(min(third))}.")


def explanation(explain: dict) -> str:
    curves = explain["curves"]
    shares, area = explain["shares"], explain["area_share"]
    rows = [[NAMES[c], *(percent(shares[region][c], 0) for region in area)] for c in shares["border"]]
    rows.append(["(evenly spread)", *(percent(share, 0) for share in area.values())])
    return (table(["class answered", "positive evidence in the outer tenth", "outside the lungs' box", "in the middle ninth"], rows)
            + f"\n\nBlurring away the map's strongest cells first leaves the "
            f"answer a mean probability of {curves['deletion, map']:.2f} (random order {curves['deletion, random']:.2f}, centre "
            f"first {curves['deletion, centre first']:.2f}: lower is better); putting them back first gives "
            f"{curves['insertion, map']:.2f} ({curves['insertion, random']:.2f}, {curves['insertion, centre first']:.2f}: "
            f"higher is better). Rank correlation with occlusion: {explain['occlusion_rank_correlation']:.2f}. "
            f"{after_shuffling(explain)}")


def training(record: dict) -> str:
    runs = record["runs"]
    times = "; ".join(f"{name} network {run['minutes']:.0f} minutes, {run['epochs']} epochs" for name, run in runs.items())
    minutes = sum(run["minutes"] for run in runs.values())
    untrained = runs.get("quantised", {"best_epoch": 0})["best_epoch"] == 0
    return (f"The last run: {times}; on {record['cores']} processor cores without a GPU, "
            f"{minutes * record['cores'] / 60:.1f} core-hours. What the weights that it began from took is not counted. "
            "Energy was not metered."
            + (" What ships is the float network with scales chosen for it, which training through rounding did not better on "
               "the validation films." if untrained else ""))


def elsewhere(evaluation: dict, ours: bool) -> str:
    if not evaluation["external"]:
        return "No external set was at hand."
    choice = (" Only one choice looked at them: at the first risk chosen for `uncertain`, 2%, three of four viral pneumonias of\n"
              "`kermany_test` were left open. All four are of sources that training films come from too." if ours else "")
    return (f"None of these was used for training, and {evaluation['external_left_out']} of their images are left out, which look "
            f"like a film of the\ndata set or come twice.{choice} Their labels are their own, and some are noisy. A class here is "
            f"the most likely one, whatever\nthe verdict.\n\n{external(evaluation)}")


def doubts(doubt: dict) -> str:
    if not doubt["bounded"]:
        return (f"No threshold kept the risk among the\nanswers at {percent(RISK, 0)} with {percent(CONFIDENCE, 0)} "
                "confidence, so the verdict on every film that is accepted is `uncertain`.")
    return (f"An answer is given only at a probability of at least\n{doubt['threshold']:.3f}; below it the verdict is "
            f"`uncertain`. The threshold is the lowest for which the risk among the\nanswers is at most {percent(RISK, 0)} with "
            f"{percent(CONFIDENCE, 0)} confidence, by Clopper-Pearson bounds tested from strict to lax on the\nvalidation films "
            f"(accuracy of answers there {percent(doubt['accuracy'])}, coverage {percent(doubt['coverage'])}). The bound holds for "
            "films drawn like the\nvalidation films: the same sources in the same shares; and only nearly, since the same films "
            "chose the weights and fitted\nthe temperature. It says nothing about another hospital's films, and nothing about a "
            "single patient.")


def card(evaluation: dict, explain: dict, record: dict, path: Path) -> str:
    _, meta = cxrm.read(str(path))
    digest = file_digest(path)
    calibration = record["calibration"]
    doubt = calibration["doubt"]
    ours = meta["training.data"] == PUBLIC_FINGERPRINT
    ours_tested = ours and evaluation["data"] == PUBLIC_FINGERPRINT
    caution = "" if evaluation["same_data"] else f"\n{report.OTHER_DATA}\n"
    return f"""# Model card: {meta['model.id']} {meta['model.version']}

SHA-256 `{digest}`, {path.stat().st_size} bytes. Written by `model/card.py` from the reports beside it; do not edit.

**For research and education. Not a medical device.** It must not be used to diagnose, to triage, or to decide about
anyone's care.

## What it is

MobileNetV2 1.0 on one gray channel at {INPUT} x {INPUT}, global average pooling and one linear layer, in 8-bit weights and
7-bit activations; five outputs: four classes and a gate ("this is an upright frontal chest film"). It runs on the
user's device in a C engine that gives the same bits everywhere. Preprocessing: {meta['preprocess']}.

**Intended**: teaching, research on shortcut learning, calibration and on-device inference, comparison of methods.
**Not intended**: any clinical use; lateral films, CT, photographs of films; screening; film of children judged as
adults or the other way round; monitoring of a patient over time.

## Data

{PUBLIC_DATA if ours else meta['notice']}

{PUBLIC_COUNTS if ours else ''}Splits keep near-duplicates together. The
database's layout names no patients, so two films of one may lie in two splits. Training on `train`, every choice of weights,
calibration and thresholds on `val`.{TEST_READ if ours_tested else ''}
{gate_data(evaluation)}

## How good it is on films of the same sources
{caution}
{figures(evaluation['test'])}

Confusion matrix, ROC, precision-recall, reliability and risk-coverage curves: [reports/evaluation.md](reports/evaluation.md).

## Why those figures flatter: source is not disease

{PUBLIC_SOURCES if ours else 'Where the films of one class come from other hospitals or machines than those of another, a'} network
that reads the source instead of the lung scores high on such a test and fails elsewhere. What this one does when parts of
the film are taken away:

{confounding(evaluation)}

{shortcut(evaluation)}

## Films from elsewhere

{elsewhere(evaluation, ours_tested)}

## Robustness

{corruptions(evaluation)} Table: [reports/evaluation.md](reports/evaluation.md).

## What it refuses

Of the test films {percent(evaluation['gate']['films_refused'], 2)} are refused.

{gate(evaluation)}

## Calibration and doubt

A temperature{' and class biases were' if calibration['with_bias'] else ' was'} fitted on `val`. {doubts(doubt)}

## Who is in the data

Sex, ethnicity, comorbidity and severity are unknown. Age is known only as child or adult, by a guess from the
source. What could be measured:

{groups(evaluation)}

No claim of fairness between groups can be made from this.

## Where it looks

{explanation(explain)}

The map is exact: its mean plus the bias is the logit. But each of its cells, 32 pixels wide, sees the whole film{MIDDLE if ours else ""}.
It points at no lesion. What it can show is evidence at the border, where a marker or a collimator is. What an answer
depends on, the page's cover test measures: it reads the film again with one part after the other blurred away.

## Failures

The most confident mistakes are listed in [reports/evaluation.md](reports/evaluation.md){FAILURES if ours_tested else "."}

## Training

{training(record)} History: [reports/training.json](reports/training.json); what else was tried:
[reports/tried.md](reports/tried.md). To retrain: `make train DATA=DIR`, then `make evaluate DATA=DIR`.

The checklist for artificial intelligence in medical imaging (CLAIM 2024), filled in: [CLAIM.md](CLAIM.md).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(MODEL / "cxrlens.cxrm"))
    parser.add_argument("--report", default=str(MODEL / "reports"))
    parser.add_argument("--out", default=str(MODEL / "CARD.md"))
    args = parser.parse_args()
    parts, digest = [], file_digest(args.model)
    for name in ("evaluation", "explain", "training"):
        path = Path(args.report) / f"{name}.json"
        if not path.exists():
            raise DataError(f"There is no {path}: run the step that writes it first.")
        parts.append(json.loads(path.read_text()))
        if parts[-1].get("model") != digest:
            raise DataError(f"{path} is of another model than {args.model}: make evaluate DATA=DIR writes it anew.")
    Path(args.out).write_text(card(*parts, Path(args.model)))


if __name__ == "__main__":
    run_in_sentences(main)
