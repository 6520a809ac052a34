"""Small datasets in the true layout of each format, with real (tiny) images; each function gives its params."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from components.params import DatasetParams

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
