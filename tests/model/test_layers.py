"""Who may import whom in model/: read from the folders, so that a new file needs no entry here."""
from __future__ import annotations

import ast
import unittest
from pathlib import Path

import places

# A room may import itself and those named. Steps are the files directly in model/, but for files.py.
MAY_IMPORT = {"files": (), "dataset": ("files",), "network": ("dataset", "files"), "integer": ("network", "dataset", "files"),
              "evaluation": ("integer", "network", "dataset", "files"), "step": ("evaluation", "integer", "network", "dataset", "files")}


def room_of(module: str) -> str:
    """The room of a module named as in an import: its folder, files, or step."""
    first = module.split(".")[0]
    return first if first in MAY_IMPORT else "step"


def imports(tree: ast.AST) -> list[tuple[ast.stmt, str]]:
    """Import statements anywhere in a file, with the modules that they name."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node, f"{node.module}.{alias.name}") for alias in node.names]
    return found


class Layers(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        paths = [p for p in places.MODEL.rglob("*.py") if p.name != "__init__.py"]
        cls.trees = {".".join(p.relative_to(places.MODEL).with_suffix("").parts): ast.parse(p.read_text()) for p in paths}

    def own(self, name: str) -> str | None:
        """The module of ours that an imported name is or comes from."""
        parts = name.split(".")
        return next((module for n in (1, 2) if (module := ".".join(parts[:n])) in self.trees), None)

    def test_rooms_import_only_lower_ones(self) -> None:
        for module, tree in self.trees.items():
            room = room_of(module)
            for _, name in imports(tree):
                other = self.own(name)
                if other and not (room == room_of(other) != "step"):
                    self.assertIn(room_of(other), MAY_IMPORT[room], f"{module} imports {other}")

    def test_imports_make_no_circle(self) -> None:
        edges = {module: {self.own(name) for _, name in imports(tree)} - {None} for module, tree in self.trees.items()}
        while edges:
            leaves = [module for module, targets in edges.items() if not targets]
            self.assertTrue(leaves, f"a circle within {sorted(edges)}")
            edges = {module: targets - set(leaves) for module, targets in edges.items() if targets}

    def test_no_import_stands_inside_a_function(self) -> None:
        for module, tree in self.trees.items():
            for node, name in imports(tree):
                self.assertIn(node, tree.body, f"{module} imports {name} in line {node.lineno}")

    def test_no_file_function_or_folder_is_too_long(self) -> None:
        folders: dict[Path, int] = {}
        for path in (*places.MODEL.rglob("*.py"), *Path(__file__).parent.rglob("*.py")):
            text = path.read_text()
            self.assertLessEqual(len(text.splitlines()), 500, path)
            folders[path.parent] = folders.get(path.parent, 0) + 1
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef):
                    self.assertLessEqual(node.end_lineno - node.lineno + 1, 60, f"{path}: {node.name}")
        self.assertLessEqual(max(folders.values()), 20)


if __name__ == "__main__":
    unittest.main()
