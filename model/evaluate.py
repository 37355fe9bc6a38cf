"""Evaluates the C engine on the test split and beyond, and writes the reports.

The test split is read here and nowhere else: everything is chosen on `val`.
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from dataset.corruptions import CORRUPTIONS, MASKS
from dataset.images import Images, Sets, load_sets
from dataset.preprocess import read_plain
from dataset.records import CACHE, balanced_part, labels_of
from evaluation import report
from evaluation.classes import class_figures, gate_figures, group_figures, refusals, robustness, worst_mistakes
from evaluation.contrasts import counts_of, within_siim, within_sources
from evaluation.engine import Answers, Engine
from evaluation.evidence import largest_inside
from evaluation.external import External, external_figures, read_external, unknown
from evaluation.maps import lungs_figures, opacity_figures
from evaluation.redrawn import redrawn_figures
from files import file_digest, run_in_sentences
from integer import cxrm
from network.mobilenet import load_float
from network.trainer import outputs_of


def classified(engine: Engine, images: Images, maps: bool = False) -> Answers:
    """Results of files of known classes; a file that the engine cannot read counts as wrong."""
    answers = engine.classify([r.path for r in images.records], maps)
    if not answers.read.all():
        print(f"the engine could not read {(~answers.read).sum()} test images; they count as wrong", file=sys.stderr)
        answers.unread_are_wrong(np.maximum(labels_of(images.records), 0))
    return answers


def float_agreement(checkpoint: str, made_from: object, images: Images, answers: Answers) -> dict:
    """The engine against the float network it was made from, if that is at hand."""
    if not Path(checkpoint).exists() or file_digest(checkpoint) != made_from:
        print(f"{checkpoint} is not the float network that the model was made from: the two are not compared")
        return {}
    predicted = outputs_of(load_float(checkpoint), images.pixels)[0][:, :4].argmax(1)
    return {"float_accuracy": float((predicted == labels_of(images.records)).mean()),
            "agreement": float((predicted == answers.predicted).mean())}


def of_source(images: Images, source: str) -> np.ndarray:
    return np.array([i for i, r in enumerate(images.records) if r.source == source], np.int64)


def map_figures(threshold: float, test: tuple[Images, Answers], siim: tuple[Images, Answers], children: tuple[Images, Answers],
                others: tuple[list[External], Answers]) -> dict:
    """Opacities on the boxes of both collections, lungs on the masks of both conventions."""
    rsna = of_source(test[0], "rsna")
    opacities = {"SIIM": opacity_figures(siim[1], siim[0].records, threshold),
                 "RSNA": opacity_figures(test[1].where(rsna), [test[0].records[i] for i in rsna], threshold)}
    masks = {f"darwin (with the heart), {name}": (answers, [r.mask for r in images.records])
             for name, (images, answers) in (("adults and children", test), ("children with bacterial pneumonia", children))}
    for name in sorted({image.set for image in others[0] if image.mask}):
        masks[f"without the heart, {name}"] = (others[1], [i.mask if i.set == name else "" for i in others[0]])
    lungs = {}
    for name, (answers, paths) in masks.items():
        chosen = np.array([bool(path) for path in paths], bool) & answers.read
        if chosen.any() and answers.lungs.shape[1]:
            lungs[name] = lungs_figures(answers.where(chosen), [p for p, c in zip(paths, chosen) if c], threshold)
    return {"opacities": {k: v for k, v in opacities.items() if v}, "lungs": lungs}


def elsewhere(engine: Engine, sets: Sets, root: str) -> tuple[list[External], Answers, dict]:
    """Sets of other hospitals; how many of their images were left out, as they look like known ones."""
    listed = read_external(root)
    known = np.concatenate([part.pixels for part in (sets.classes, sets.siim, sets.bacterial)])
    images = unknown(listed, known)
    answers = engine.classify([i.path for i in images], maps=True)
    return images, answers, {"external": external_figures(answers, images), "external_left_out": len(listed) - len(images)}


def readable(images: Images) -> np.ndarray:
    """Indices of images whose class can be read in them: not COVID-19 by PCR where radiologists read clear lungs."""
    return np.array([i for i, r in enumerate(images.records) if not r.contradicts], np.int64)


def changed_figures(engine: Engine, test: Images, args: argparse.Namespace) -> dict:
    """Images that are drawn otherwise, masked or corrupted. All are 8-bit gray of 224 pixels here; the engine reads them as PNG."""
    labels, plain = labels_of(test.records), [read_plain(r.path) for r in test.records]
    few, part = balanced_part(labels, args.redrawn_images or len(labels)), balanced_part(labels, args.corruption_images)
    result = {"redrawn": redrawn_figures(engine, [plain[i] for i in few], labels[few])}
    print(f"redrawn: {result['redrawn']['hold']} ways hold", flush=True)
    result["masks"] = robustness(engine, plain, labels, MASKS)
    result["corruption_images"] = len(part)
    result["corruptions"] = {name: robustness(engine, [plain[i] for i in part], labels[part],
                                              {str(i + 1): change for i, change in enumerate(strengths)})
                             for name, strengths in CORRUPTIONS.items()}
    return result


def evaluate(args: argparse.Namespace) -> None:
    """All figures and plots."""
    engine, meta, sets = Engine(args.cli, args.model), cxrm.read(args.model)[1], load_sets(args.data, args.cache)
    threshold = float(meta["lungs.threshold"][0])
    everything, siim, children = (part.split("test") for part in (sets.classes, sets.siim, sets.bacterial))
    all_answers = classified(engine, everything, maps=True)
    chosen = readable(everything)
    test, answers, labels = everything.where(chosen), all_answers.where(chosen), labels_of(everything.records)[chosen]
    fingerprint = sets.fingerprint()
    result = {"model": file_digest(args.model), "version": meta["model.version"], "data": fingerprint,
              "same_data": meta.get("training.data") == fingerprint and not meta.get("training.seen"),
              "test": class_figures(answers, labels),
              "test_all": class_figures(all_answers, labels_of(everything.records))}
    siim_answers = classified(engine, siim, maps=True)
    if len(siim):
        opacity = largest_inside(siim_answers.lungs, siim_answers.opacities, threshold)
        result["siim"] = within_siim(siim_answers, opacity, siim.records)
        print(json.dumps(result["siim"]["auc"]), flush=True)
    child_answers = classified(engine, children, maps=True)
    if len(children):
        result["bacterial"] = {**refusals(child_answers), **counts_of(child_answers)}
    others, other_answers, found = elsewhere(engine, sets, args.data)
    result.update(found)
    result["maps"] = map_figures(threshold, (everything, all_answers), (siim, siim_answers), (children, child_answers),
                                 (others, other_answers))
    result.update({"float": float_agreement(args.checkpoint, meta.get("training.float"), test, answers),
                   "gate": gate_figures(engine, sets, all_answers), "contrasts": within_sources(answers, test.records),
                   "groups": group_figures(answers, test.records), "mistakes": worst_mistakes(answers, test.records)})
    result.update(changed_figures(engine, test, args))
    report.write(result, answers, labels, Path(args.report))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--cli", default="build/cxrlens", help="the engine's program")
    parser.add_argument("--model", default=str(Path(__file__).with_name("cxrlens.cxrm")))
    parser.add_argument("--checkpoint", default="build/train/best.pt", help="the float network, if at hand")
    parser.add_argument("--report", default=str(Path(__file__).with_name("reports")))
    parser.add_argument("--cache", default=CACHE)
    parser.add_argument("--redrawn-images", type=int, help="test images for the 16 ways of drawing one (default: all)")
    parser.add_argument("--corruption-images", type=int, default=240, help="test images for the 60 corruptions")
    evaluate(parser.parse_args())


if __name__ == "__main__":
    run_in_sentences(main)
