"""Writes model/CARD.md, the model card, from the figures that the other steps left in model/reports/."""
from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.corruptions import LUNGS_REMOVED
from dataset.preprocess import INPUT
from dataset.records import PUBLIC_FINGERPRINT
from evaluation import report
from evaluation.calibration import CONFIDENCE, RISK
from evaluation.report import percent
from files import DataError, file_digest, run_in_sentences
from integer import cxrm

MODEL = Path(__file__).parent

# The training data of the published model; the card of another model has the notice of its file instead.
PUBLIC_DATA = """| data | what for | terms |
|---|---|---|
| COVID-19 Radiography Database (T. Rahman, M. Chowdhury et al., Kaggle). It collects from RSNA and Kermany et al. (normal), Kermany et al. (viral pneumonia), RSNA (lung opacity), BIMCV-COVID19+, COVID-CXNet, ieee8023/covid-chestxray-dataset and others (COVID-19) | four classes | each source its own, many for research only |
| SIIM-FISABIO-RSNA COVID-19 Detection (BIMCV-COVID19 and RSNA RICORD): readings and boxes of radiologists | classes within one collection, opacities | research, not commercial |
| RSNA Pneumonia Detection Challenge (images of the NIH, boxes of RSNA and STR radiologists) | lung opacity, opacities | research and education |
| Kermany et al., Cell 2018 (children) | viral and bacterial pneumonia, normal | CC BY 4.0 |
| V7 Labs, lung masks of the "darwin" COVID-19 X-ray set | lungs | CC BY 4.0 |
| photographs, documents, CT, MRI, lateral chest, hand and other images | the gate | each source its own |
| MobileNetV2 for ImageNet (google-coral/test_data) | first weights | Apache-2.0 |

None of the images is in this project. The classes of the database are labels of its sources: COVID-19 by a PCR test, others by a
report or a reader. Radiologists read some of its COVID-19 images as clear ("negative for pneumonia"); training did not use these as
COVID-19. It used SIIM's "typical" as COVID-19, "negative" as normal, "indeterminate" and "atypical" mostly as lung opacity.
Splits keep near-duplicates and the images of one patient together, as far as patients are known. Counts, sources and
near-duplicates are in [reports/eda.md](reports/eda.md)."""
PUBLIC_LIMITS = """- Every viral pneumonia image in training is of a child. Bacterial pneumonia of children is none of the classes.
"""
PUBLIC_SOURCES = """COVID-19, viral pneumonia and normal images come from different hospitals, machines and age groups, and all viral
pneumonia images are of children. A"""
SEEN_ONCE = " Each version reads `test` once, after all choices."
SEEN_TWICE = {"1.3.0": SEEN_ONCE + """
Version 1.3.0 read it twice: at a risk of 3.5% it called 10.3% of the negative images COVID-19, so the threshold went back
to the 3% of the version before."""}


def table(text: str) -> str:
    """A report's table, to stand within a line of the card."""
    return text.rstrip("\n")


def hundred(v: dict | float | None) -> str:
    """A share as a count of a hundred images."""
    return "an unknown number" if v is None else f"{100 * (v['value'] if isinstance(v, dict) else v):.0f}"


# ---- the honest measures ----


def one_collection(evaluation: dict, baseline: dict) -> str:
    if "siim" not in evaluation:
        return "No collection with radiologists' readings of both kinds was at hand, so this was not measured.\n"
    siim, shares = evaluation["siim"], evaluation["siim"]["shares"]
    auc = siim["auc"]["not normal"]
    return f"""COVID-19 images and normal images mostly come from different hospitals, so a network can score high by recognising the
hospital. Within one collection it cannot. In {report.collection(evaluation)}, radiologists read each image as typical, indeterminate or atypical
for COVID-19, or as negative for pneumonia ({siim['images']} test images of {siim['patients']} patients; 95% intervals by patient). "Called"
means that the user sees this verdict. "Most likely" is the class with the highest probability, whatever the verdict:

{table(report.siim_table(evaluation, baseline))}

In plain words: shown one typical and one negative image, the model ranks the typical one as less normal in {hundred(auc)} of 100 pairs.
Of 100 images that radiologists read as negative, it calls {hundred(shares['negative, called covid-19'])} COVID-19. Of 100 typical images it calls
{hundred(shares['typical, called covid-19'])} COVID-19 and {hundred(shares['typical, called normal'])} normal; nearly all others are `uncertain`.
[reports/evaluation.md](reports/evaluation.md) has the verdicts for all four readings.
"""


def sources(evaluation: dict) -> str:
    if not evaluation["contrasts"]:
        return ""
    return f"\n{report.ONE_COLLECTION}\n\n{table(report.contrasts_table(evaluation['contrasts']))}\n"


def redrawn(evaluation: dict, baseline: dict) -> str:
    r = evaluation["redrawn"]
    return f"""The same radiograph with fewer gray levels, with borders or text, or as a small JPEG must get the same answer.
{report.redrawn_words(r, baseline)}
This was measured on {r['images']} test images:

{table(report.redrawn_table(r, baseline))}
"""


def found(evaluation: dict, explain: dict) -> str:
    maps, text = evaluation["maps"], ""
    if maps["opacities"]:
        text += f"""The opacity map marks what a radiologist might outline. It is coarse: a cell is a twelfth of the image wide. Compared with
radiologists' boxes:

{table(report.opacities_table(maps["opacities"]))}

"""
    if maps["lungs"]:
        text += f"""The lung map was trained on masks that include the heart. On masks without the heart, its Dice coefficient cannot reach 1:

{table(report.lungs_table(maps["lungs"]))}

"""
    if any(o["grounds"] for o in explain["occlusion"].values()):
        text += f"""Does the verdict depend on the findings? Covering them should change the verdict; covering as much of the lungs elsewhere
should not:

{table(report.occlusion_table(explain["occlusion"]))}

"""
    if explain["shuffling"]:
        text += report.shuffled_words(explain["shuffling"]) + "\n\n"
    return text + """The engine names a disease only if the strongest opacity inside the lungs reaches a threshold. It ignores everything outside the
lungs. A mark does not prove an opacity, and a lung without marks is not proven clear.
"""


# ---- other hospitals, mixed sources ----


def elsewhere(evaluation: dict, baseline: dict) -> str:
    if not evaluation["external"]:
        return "No external set was at hand.\n"
    everything = {(name, label): r for name, labels in evaluation["external"].items() for label, r in labels.items()}
    rows = [[name, label, r["images"], percent(r.get("recall")), percent(r["refused"]), percent(r["uncertain"])]
            for (name, label), r in everything.items()]
    every = table(report.table(["set", "its label", "images", "most likely class correct", "refused", "uncertain"], rows)
                  + report.unread(everything))
    return f"""Training used none of these images. {evaluation['external_left_out']} further images are left out, because they look like an image of the data set or
occur twice. The labels are the sets' own, and some are noisy. Normal images whose verdict is a disease:

{table(report.called_a_disease(evaluation, baseline))}

All images by label. "Most likely class correct" ignores the verdict; it is empty if the label is none of the four classes:

{every}
"""


def shortcut(evaluation: dict) -> str:
    without = evaluation["masks"][LUNGS_REMOVED]
    return (f"The row with the lungs' box removed measures the shortcut: nothing of its mean AUC of {without['mean_auc']:.3f} (0.5 is chance) comes "
            f"from\nthe lungs. The gate refuses {percent(without['refused'])} of these images.")


def corruptions(evaluation: dict) -> str:
    third = {name: kind["3"]["accuracy"] for name, kind in evaluation["corruptions"].items()}
    worst = min(third, key=third.get)
    return (f"Over {len(third)} corruptions at strength 3 of 5, the mean accuracy on {evaluation['corruption_images']} test images is "
            f"{percent(float(np.mean(list(third.values()))))};\nthe worst is {worst} with {percent(third[worst])}. "
            "[reports/evaluation.md](reports/evaluation.md) has all strengths.")


def gate(evaluation: dict) -> str:
    """What the gate was trained and tested on, and what it refuses."""
    unseen = any(not g["trained_on"] for g in evaluation["gate"]["negatives"].values())
    return ("The gate (an out-of-distribution detector) was trained on images that are not frontal chest X-rays, and tested on others, "
            + ("some of\nkinds that training never saw. " if unseen else "of the\nsame kinds. ")
            + f"It refuses {percent(evaluation['gate']['images_refused'], 2)} of the test split's chest X-rays and "
              f"{percent(evaluation['gate']['others_refused'])} of real images of other kinds.\n\n"
            + table(report.gate_table(evaluation["gate"]["negatives"])))


def groups(evaluation: dict) -> str:
    rows = [[group, g["images"], percent(g["accuracy"]), percent(g["refused"]), percent(g["uncertain"])]
            for of in evaluation["groups"].values() for group, g in of.items() if list(of) != ["unknown"]]
    return table(report.table(["group (guessed)", "test images", "accuracy", "refused", "uncertain"], rows))


def doubts(calibration: dict, evaluation: dict) -> str:
    """The calibration, and when the verdict is `uncertain`."""
    doubt, evidence = calibration["doubt"], calibration["evidence"]
    errors = f"{report.decimal(evaluation['test']['doubt']['ece_accepted'], 3)} on the four classes"
    if "siim" in evaluation:
        errors += f", {report.decimal(evaluation['siim']['ece']['typical and negative, accepted'], 3)} on SIIM's typical and negative images"
    text = (f"A temperature{' and class biases were' if calibration['with_bias'] else ' was'} fitted on `val`. Expected calibration error of "
            f"accepted test images: {errors}.\nThe verdict is `uncertain` if the highest probability is below {doubt['threshold']:.3f}, or if it would be a "
            f"disease but the strongest opacity\ninside the lungs is below {evidence['threshold']:.3f}.\n\n")
    if not doubt["bounded"]:
        return text + (f"No threshold kept the share of wrong answers at {percent(RISK, 0)} with {percent(CONFIDENCE, 0)} confidence, so\n"
                       "every accepted image is `uncertain`.")
    return text + (f"The first threshold keeps the share of wrong answers at {percent(RISK, 0)} or less with {percent(CONFIDENCE, 0)} confidence. "
                   "It was found by Clopper-Pearson\nbounds on the validation images, tested from strict to lax. The bound applies only to "
                   "images from the same sources in the same\nshares. Even there it is approximate, since the same images chose the weights "
                   "and fitted the temperature. It says nothing about\nanother hospital's images or about a single patient.")


def training(record: dict) -> str:
    runs = record["runs"]
    times = "; ".join(f"{name} network {run['minutes']:.0f} minutes, {run['epochs']} epochs" for name, run in runs.items())
    hours = sum(run["minutes"] for run in runs.values()) * record["cores"] / 60
    untrained = runs.get("quantised", {"best_epoch": 0})["best_epoch"] == 0
    return (f"The last run: {times}, on {record['cores']} processor cores without a GPU ({hours:.1f} core-hours). Earlier training of the "
            "starting weights\nis not counted. Energy was not metered."
            + (" The published weights are the float network's, quantised after training: quantisation-aware\nfine-tuning gave no "
               "better result on the validation images." if untrained else ""))


def failures(folder: Path, version: str) -> str:
    """Where the mistakes are listed, and where described if somebody has described those of this version."""
    described = folder / "failures.md"
    return ("The most confident mistakes are listed in [reports/evaluation.md](reports/evaluation.md)"
            + (" and described in\n[reports/failures.md](reports/failures.md)." if described.is_file()
               and f"Version {version}" in described.read_text() else "."))


@dataclass
class Facts:
    """The inputs of the card."""
    evaluation: dict
    explain: dict
    record: dict    # training.json
    baseline: dict  # figures of an earlier version on the same images, or nothing
    meta: cxrm.Meta
    path: Path      # of the model
    reports: Path

    @property
    def ours(self) -> bool:
        """Whether it was trained on the published model's data."""
        return self.meta["training.data"] == PUBLIC_FINGERPRINT


def head(facts: Facts) -> str:
    meta = facts.meta
    caution = "" if facts.evaluation["same_data"] else f"\n{report.OTHER_DATA}\n"
    return f"""# Model card: {meta['model.id']} {meta['model.version']}

SHA-256 `{file_digest(facts.path)}`, {facts.path.stat().st_size} bytes. Written by `model/card.py` from the reports beside it; do not edit.

**For research and education. Not a medical device.** It must not be used to diagnose, to triage, or to decide about
anyone's care.

## What it is

MobileNetV2 1.0 on one gray channel at {INPUT} x {INPUT}, with 8-bit weights and 7-bit activations. One pass gives four classes (normal,
COVID-19, viral pneumonia, lung opacity), a gate ("is this an upright frontal chest X-ray?"), and two maps: where the lungs are, and
where an opacity lies. It runs on the user's device in a C engine that gives the same bits everywhere. Preprocessing: {meta['preprocess']}.

**Intended**: teaching, research on shortcut learning, calibration and on-device inference, comparison of methods.
**Not intended**: any clinical use; lateral radiographs, CT, photographs of radiographs; screening; images of children judged as
adults or the other way round; monitoring of a patient over time.
{caution}"""


def honest(facts: Facts) -> str:
    """First the figures that a model cannot reach by recognising the source."""
    evaluation, baseline = facts.evaluation, facts.baseline
    return f"""
## Does it read the lungs, or recognise the hospital?

{one_collection(evaluation, baseline)}{sources(evaluation)}
## The same image, altered

{redrawn(evaluation, baseline)}
## What it finds in the lungs

{found(evaluation, facts.explain)}
## Other hospitals

{elsewhere(evaluation, baseline)}"""


def cost(evaluation: dict, baseline: dict) -> str:
    """How much accuracy on mixed sources was given up for the contrast within one collection."""
    if "siim" not in evaluation or "siim" not in baseline:
        return ""
    gain = 100 * (evaluation["test"]["accuracy"]["value"] - baseline["test"]["accuracy"]["value"])
    now, then = (part["siim"]["auc"]["not normal"]["value"] for part in (evaluation, baseline))
    return (f"\n\nCompared with version {baseline['version']}, the accuracy here {'fell' if gain < 0 else 'rose'} by {abs(gain):.1f} points, while the AUC "
            f"within one collection went\nfrom {then:.2f} to {now:.2f}. Where the two were in conflict, the AUC within one collection was preferred.")


def mixed(facts: Facts) -> str:
    evaluation, baseline = facts.evaluation, facts.baseline
    left_out = evaluation["test_all"]["images"] - evaluation["test"]["images"]
    unreadable = (f" {left_out} images labelled COVID-19 by a PCR\ntest are left out except where stated, because radiologists read clear "
                  "lungs in them." if left_out else "")
    return f"""
## Four classes of mixed sources

{PUBLIC_SOURCES if facts.ours else 'Where the images of one class come from other hospitals or machines than those of another, a'} network
that recognises the source scores high here, so these figures are too optimistic.{unreadable} {evaluation['test']['images']} test images;
accuracy and F1 are of the most likely class, whatever the verdict:

{table(report.test_table(evaluation, baseline))}{cost(evaluation, baseline)}

[reports/evaluation.md](reports/evaluation.md) has the confusion matrix and the ROC, precision-recall, reliability and risk-coverage
curves.

The same measures with parts of the image masked or changed:

{table(report.masks_table(evaluation['masks'], baseline))}

{shortcut(evaluation)}

{corruptions(evaluation)}

## What it refuses

{gate(evaluation)}

## Calibration and `uncertain`

{doubts(facts.record['calibration'], evaluation)}

## Who is in the data

Sex, ethnicity, comorbidity and severity are unknown. Age is known only as child or adult, guessed from the source. By
group:

{groups(evaluation)}

These figures support no claim of fairness between groups.
"""


def limits(facts: Facts) -> str:
    tested = facts.ours and facts.evaluation["data"] == PUBLIC_FINGERPRINT
    return f"""
## Limits

{PUBLIC_LIMITS if facts.ours else ''}- Tuberculosis, nodules, effusions, pneumothorax and heart failure are none of the classes. The model gives such an image the
  nearest class or none.
- The network reads {INPUT} x {INPUT} pixels and cannot see what is small or faint.
- COVID-19 without a visible opacity cannot be seen in a radiograph, by this model or by a radiologist.
- Images of other hospitals, other machines and other years may behave in ways that none of these tests shows.

## Failures

{failures(facts.reports, str(facts.meta['model.version']))}

## Data and licences

{PUBLIC_DATA if facts.ours else facts.meta['notice']}

Training used `train`; every choice of weights, calibration and thresholds used `val`.{SEEN_TWICE.get(str(facts.meta['model.version']), SEEN_ONCE) if tested else ''}

## Training

{training(facts.record)} [reports/training.json](reports/training.json) has the history,
[reports/tried.md](reports/tried.md) what else was tried. To retrain: `make train DATA=DIR`, then `make evaluate DATA=DIR`.

[CLAIM.md](CLAIM.md) is the checklist for artificial intelligence in medical imaging (CLAIM 2024), filled in.
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
            raise DataError(f"{path} belongs to another model than {args.model}. make evaluate DATA=DIR writes a new one.")
    reports = Path(args.report)
    facts = Facts(*parts, report.baseline_of(parts[0], reports), cxrm.read(args.model)[1], Path(args.model), reports)
    Path(args.out).write_text(head(facts) + honest(facts) + mixed(facts) + limits(facts))


if __name__ == "__main__":
    run_in_sentences(main)
