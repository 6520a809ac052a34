"""Small datasets in the true layout of each format, with real (tiny) images; each function gives its params."""

from __future__ import annotations

import hashlib
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy.io import savemat

from components.params.datasets import DatasetParams

SIZE = (64, 48)
SPLITS = {"train": 6, "val": 3, "test": 3}


def params(root: Path, kind: str, annotations: dict[str, Any], **more: Any) -> DatasetParams:
    values = {"format": kind, "root": str(root), "annotations": annotations, "role": "both", "licence": "CC0-1.0"}
    return DatasetParams.model_validate(values | more)


def picture(path: Path, seed: int, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).save(path)


def people(seed: int) -> list[list[int]]:
    """One to three boxes x y w h inside the image."""
    random = np.random.default_rng(seed)
    corner = random.integers(0, 30, (1 + seed % 3, 2))
    return np.concatenate([corner, random.integers(6, 18, corner.shape)], axis=1).tolist()


def crowdhuman(root: Path) -> DatasetParams:
    for split, count in SPLITS.items():
        lines = []
        for i in range(count):
            name = f"{split}{i},ab"
            picture(root / f"Images/{name}.jpg", hash_of(name))
            boxes = [{"fbox": box, "vbox": box, "hbox": [*box[:2], 3, 3], "tag": "person"} for box in people(i)]
            lines.append(json.dumps({"ID": name, "gtboxes": [*boxes, {"fbox": [1, 1, 9, 9], "tag": "mask"}]}))
        (root / f"annotation_{split}.odgt").write_text("\n".join(lines) + "\n")
    return params(root, "crowdhuman", {split: f"annotation_{split}.odgt" for split in SPLITS})


def citypersons_mat(root: Path) -> DatasetParams:
    for split, count in SPLITS.items():
        cells = np.empty((1, count), dtype=object)
        for i in range(count):
            name = f"ulm_{split}_{i:06d}_leftImg8bit.png"
            picture(root / f"leftImg8bit/{split}/ulm/{name}", hash_of(name))
            rows = [[1, *box, 7, *box] for box in people(i)] + [[0, 2, 2, 8, 8, 0, 2, 2, 8, 8]]
            # as in the published files, the number type differs from image to image
            table = np.array(rows, dtype=(np.uint8, np.uint16, np.int16)[i % 3])
            cells[0, i] = np.array([[("ulm", name, table)]], dtype=[("cityname", "O"), ("im_name", "O"), ("bbs", "O")])
        (root / "annotations").mkdir(parents=True, exist_ok=True)
        savemat(root / f"annotations/anno_{split}.mat", {f"anno_{split}_aligned": cells})
    return params(root, "citypersons", {split: f"annotations/anno_{split}.mat" for split in SPLITS})


def citypersons_json(root: Path) -> DatasetParams:
    for split, count in SPLITS.items():
        for i in range(count):
            name = f"ulm_{split}_{i:06d}"
            picture(root / f"leftImg8bit/{split}/ulm/{name}_leftImg8bit.png", hash_of(name))
            objects = [{"instanceId": 24000, "bbox": box, "bboxVis": box, "label": "pedestrian"} for box in people(i)]
            objects.append({"instanceId": 0, "bbox": [2, 2, 8, 8], "bboxVis": [2, 2, 8, 8], "label": "ignore"})
            path = root / f"gtBboxCityPersons/{split}/ulm/{name}_gtBboxCityPersons.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"imgHeight": SIZE[1], "imgWidth": SIZE[0], "objects": objects}))
    return params(root, "citypersons", {split: f"gtBboxCityPersons/{split}" for split in SPLITS})


def wider_pedestrian(root: Path) -> DatasetParams:
    for split, count in SPLITS.items():
        lines, ignored = [], []
        for i in range(count):
            name = f"ad_{split}_{i:05d}.jpg"
            picture(root / "Images" / name, hash_of(name))
            boxes = people(i) if i else []  # the first has no people: a bare name
            lines.append(" ".join([name, *(f"1 {x} {y} {w} {h}" for x, y, w, h in boxes)]))
            ignored.append(f"{name} 2 2 8 8")
        (root / f"{split}_annotations.txt").write_text("\n".join(lines) + "\n")
        (root / f"pedestrian_ignore_part_{split}.txt").write_text("\n".join(ignored) + "\n")
    return params(root, "wider_pedestrian", {split: f"{split}_annotations.txt" for split in SPLITS})


def uavdt(root: Path) -> DatasetParams:
    sequences = {"train": ["M0101", "M0201"], "val": ["M0301"], "test": ["M0203"]}
    for names in sequences.values():
        for sequence in names:
            rows = []
            for frame in range(1, 4):
                picture(root / f"UAV-benchmark-M/{sequence}/img{frame:06d}.jpg", hash_of(f"{sequence}{frame}"))
                boxes = people(frame) if frame < 3 else []  # the last frame shows no car
                rows += [f"{frame},{n},{x},{y},{w},{h},1,1,{1 + n % 3}" for n, (x, y, w, h) in enumerate(boxes, 1)]
            (root / "GT").mkdir(exist_ok=True)
            (root / f"GT/{sequence}_gt_whole.txt").write_text("\n".join(rows) + "\n")
            (root / f"GT/{sequence}_gt_ignore.txt").write_text("1,-1,2,2,8,8\n" if sequence == "M0101" else "")
    files: dict[str, Any] = {split: [f"GT/{name}_gt_whole.txt" for name in names] for split, names in sequences.items()}
    return params(root, "uavdt", files | {"train": "GT/M0[12]01_gt_whole*.txt"})


def coco(root: Path, lvis: bool = False) -> DatasetParams:
    for split, count in SPLITS.items():
        images, annotations = [], []
        for i in range(count):
            name = f"{hash_of(split + str(i)) % 10**12:012d}.jpg"
            picture(root / f"{split}2017/{name}", hash_of(name))
            place = {"coco_url": f"http://images.test/{split}2017/{name}"} if lvis else {"file_name": name}
            more = {"not_exhaustive_category_ids": [3] if i == 0 else []} if lvis else {}
            images.append({"id": i + 1, "width": SIZE[0], "height": SIZE[1], **place, **more})
            for n, box in enumerate(people(i)):
                common = {"id": 100 * i + n, "image_id": i + 1, "bbox": [float(v) for v in box]}
                annotations.append(common | {"category_id": 1, "iscrowd": 0, "area": 1.0, "segmentation": [[1, 2, 3]]})
            crowd = {"counts": [1, 5], "size": [SIZE[1], SIZE[0]]}
            annotations.append(
                {"id": 100 * i + 99, "image_id": i + 1, "category_id": 1, "iscrowd": 1, "bbox": [2.0, 2.0, 8.0, 8.0],
                 "segmentation": crowd}
            )  # fmt: skip
        categories = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}]
        content = {"info": {}, "images": images, "annotations": annotations[::-1], "categories": categories}
        (root / "annotations").mkdir(parents=True, exist_ok=True)
        (root / f"annotations/instances_{split}2017.json").write_text(json.dumps(content))
    annotation_files = {split: f"annotations/instances_{split}2017.json" for split in SPLITS}
    return params(root, "coco", annotation_files, **({"images": "."} if lvis else {}))


def lvis(root: Path) -> DatasetParams:
    return coco(root, lvis=True)


def hash_of(text: str) -> int:
    return zlib.crc32(text.encode())


LAYOUTS = {
    "crowdhuman": crowdhuman,
    "citypersons_mat": citypersons_mat,
    "citypersons_json": citypersons_json,
    "wider_pedestrian": wider_pedestrian,
    "uavdt": uavdt,
    "coco": coco,
    "lvis": lvis,
}


# --- datasets with a task of their own, as they are published; each function draws files only


def refcoco(root: Path, splits: tuple[str, ...] = ("train", "val", "testA", "testB"), by: str = "unc") -> None:
    """refs(unc).p in protocol 2 as Python 2 wrote it, refs(google).p beside it, instances.json, COCO's own names."""
    refs, images, annotations = [], [], []
    for place, split in enumerate(split for split in splits for _ in range(2)):
        name = f"COCO_train2014_{1000 + place:012d}.jpg"
        picture(root / "train2014" / name, hash_of(name))
        images.append({"id": 1000 + place, "file_name": name, "width": SIZE[0], "height": SIZE[1], "license": 1})
        for which, box in enumerate([[4.0, 5.0, 20.5, 30.0], [30.0, 8.0, 20.5, 30.0]]):
            annotation = 10 * place + which
            annotations.append({"id": annotation, "image_id": 1000 + place, "bbox": box, "category_id": 1, "iscrowd": 0,
                                "area": 9.0, "segmentation": [[1.0, 2.0, 3.0]]})  # fmt: skip
            words = [{"sent": f"person {which}", "raw": "Person.", "tokens": ["person"], "sent_id": annotation}]
            refs.append({"sent_ids": [annotation], "file_name": f"{name[:-4]}_{which}.jpg", "ann_id": annotation,
                         "ref_id": annotation, "image_id": 1000 + place, "split": split, "sentences": words,
                         "category_id": 1})  # fmt: skip
    content = {"info": {}, "images": images, "annotations": annotations, "licenses": [],
               "categories": [{"id": 1, "name": "person", "supercategory": "person"}]}  # fmt: skip
    (root / "instances.json").write_text(json.dumps(content))
    for name in (by, "google"):
        (root / f"refs({name}).p").write_bytes(pickle.dumps(refs, protocol=2))


def refcocog(root: Path) -> None:
    refcoco(root, ("train", "val", "test"), "umd")


def refcoco_parquet(root: Path) -> None:
    """The pickle's columns as Parquet."""
    refcoco(root)
    rows = pickle.loads((root / "refs(unc).p").read_bytes())  # noqa: S301  (written above)
    pq.write_table(pa.Table.from_pylist(rows), root / "refs.parquet")
    (root / "refs(unc).p").unlink()
    (root / "refs(google).p").unlink()


def pixmo_count(root: Path, train_points: bool = True) -> None:
    """Images under their digests as `fetch-images` puts them; val and test rows have a number and no points."""
    (root / "data").mkdir(parents=True)
    for split, count in {"train": 4, "validation": 2, "test": 2}.items():
        rows = []
        for i in range(count):
            picture(root / "images/new.png", hash_of(f"{split}{i}"))
            digest = hashlib.sha256((root / "images/new.png").read_bytes()).hexdigest()
            (root / "images/new.png").rename(root / f"images/{digest}.png")
            points = [{"x": 4.0 + 9 * n, "y": 7.5} for n in range(2 + i)] if split == "train" and train_points else []
            rows.append({"image_url": f"https://images.invalid/{digest}", "image_sha256": digest, "count": 2 + i,
                         "points": points, "label": "cats"})  # fmt: skip
        columns = pa.schema([("image_url", pa.string()), ("image_sha256", pa.string()), ("count", pa.int64()),
                             ("points", pa.list_(pa.struct([("x", pa.float64()), ("y", pa.float64())]))),
                             ("label", pa.string())])  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows, columns), root / f"data/{split}-00000-of-00001.parquet")


def fox(root: Path) -> None:
    """The English and the Chinese pages, each beside its folder of images."""
    for language, text in {"en": "Page", "cn": "一页"}.items():
        pages = []
        for i in range(1, 4):
            picture(root / f"{language}_pdf_png/{language}_{i}.png", hash_of(f"{language}{i}"))
            said = [{"from": "human", "value": "Read."}, {"from": "gpt", "value": f"{text} {i}"}]
            pages.append({"image": f"{language}_{i}.png", "conversations": said})
        (root / f"{language}_page_ocr.json").write_text(json.dumps(pages))


def image_text(root: Path) -> None:
    rows = {split: [{"image": f"{split}/{i}.png", "text": f"No. {i}"} for i in range(3)] for split in SPLITS}
    for row in (row for found in rows.values() for row in found):
        picture(root / "images" / row["image"], hash_of(row["image"]))
    pq.write_table(pa.Table.from_pylist(rows["train"]), root / "train.parquet")
    for split in ("val", "test"):
        (root / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[split]))


TASK_LAYOUTS = {
    "refcoco": refcoco,
    "refcocog": refcocog,
    "refcoco_parquet": refcoco_parquet,
    "pixmo_count": pixmo_count,
    "fox": fox,
    "image_text": image_text,
}
