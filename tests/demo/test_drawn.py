import inspect

from loopyvq.demo.drawn import Completion, GenerationDemo


def test_every_field_is_documented():
    for result in (Completion, GenerationDemo):
        for name in result._fields:
            assert f"\n    {name}: " in (inspect.getdoc(result) or ""), name
