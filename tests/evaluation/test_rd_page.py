from xml.etree import ElementTree

from loopyvq.evaluation.rd_page import render_page
from tests.evaluation.test_rd_curves import curve


def test_the_page_is_complete_in_itself():
    page = render_page([*curve(1.0), *curve(0.5, "<b>")], "kodak.zip", "loopyvq evaluate rd")
    assert "8 files of 1 images of kodak.zip, by 2 systems" in page
    for name in ("PSNR in dB", "MS-SSIM", "SSIM"):
        assert f"<h2>{name}</h2>" in page
    assert "LPIPS" not in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "$" not in page
    assert "http" not in page
    chart = page[page.index("<svg") : page.index("</svg>") + 6]
    svg = ElementTree.fromstring(chart)
    assert len(svg.findall(".//*[@class='line']")) == 2
    assert '<li class="series-1">&lt;b&gt;</li>' in page
    assert "LPIPS" in render_page([point._replace(lpips=0.2) for point in curve(1.0)], "", "")
