import inspect

from loopyvq.demo.result import DemoPhoto, DemoResult


def test_every_field_is_documented():
    for result in (DemoPhoto, DemoResult):
        for name in result._fields:
            assert f"\n    {name}: " in (inspect.getdoc(result) or ""), name
