"""Short and service numbers of mainland China that everybody knows: what they are called, in Chinese and English.

From the national numbering plan: 1xx emergency and operators' services, 123xx government, 95xxx nationwide and 96xxx
provincial customer services, 106… messages, 400 shared cost, 800 free phone.
"""

from __future__ import annotations

import re

COUNTRY = "CN"

_NAMED: dict[str, tuple[str, str]] = {
    "110": ("公安报警", "Police"),
    "119": ("火警", "Fire service"),
    "120": ("急救", "Ambulance"),
    "122": ("交通事故报警", "Traffic police"),
    "112": ("紧急呼叫", "Emergency call"),
    "12110": ("短信报警", "Police by text message"),
    "12121": ("气象服务", "Weather"),
    "114": ("号码查询", "Directory"),
    "12117": ("报时", "Speaking clock"),
    "12306": ("铁路客服", "China Railway"),
    "12315": ("消费者投诉", "Consumer complaints"),
    "12319": ("城建服务", "Urban services"),
    "12320": ("公共卫生", "Public health"),
    "12328": ("交通运输服务", "Transport"),
    "12329": ("住房公积金", "Housing fund"),
    "12333": ("人力资源和社会保障", "Labour and social security"),
    "12338": ("妇女维权", "Women's rights"),
    "12345": ("政务服务便民热线", "Government service hotline"),
    "12348": ("法律服务", "Legal service"),
    "12355": ("青少年服务", "Youth service"),
    "12358": ("价格举报", "Price complaints"),
    "12366": ("税务服务", "Tax service"),
    "12369": ("环保举报", "Environment complaints"),
    "12377": ("互联网举报", "Internet complaints"),
    "12378": ("银行保险投诉", "Banking and insurance complaints"),
    "12381": ("公共服务电话平台", "Public service platform"),
    "12386": ("证监会热线", "Securities regulator"),
    "12388": ("纪检监察举报", "Discipline inspection"),
    "12389": ("公安监督举报", "Police complaints"),
    "10000": ("中国电信", "China Telecom"),
    "10001": ("中国电信", "China Telecom"),
    "10010": ("中国联通", "China Unicom"),
    "10011": ("中国联通", "China Unicom"),
    "10050": ("中国铁通", "China Tietong"),
    "10086": ("中国移动", "China Mobile"),
    "10099": ("中国广电", "China Broadnet"),
    "12580": ("移动综合信息服务", "China Mobile information"),
    "116114": ("联通信息导航", "China Unicom information"),
    "118114": ("号码百事通", "China Telecom information"),
    "11185": ("中国邮政", "China Post"),
    "11183": ("邮政速递", "EMS"),
    "95110": ("公安反诈", "Anti-fraud police"),
    "95119": ("森林防火", "Forest fires"),
    "96110": ("反诈专线", "Anti-fraud line"),
    "95105105": ("铁路订票", "Railway tickets"),
    "95306": ("铁路货运", "Railway freight"),
    "95338": ("顺丰速运", "SF Express"),
    "95311": ("中通快递", "ZTO Express"),
    "95546": ("韵达快递", "Yunda Express"),
    "95554": ("圆通速递", "YTO Express"),
    "95543": ("申通快递", "STO Express"),
    "95500": ("太平洋保险", "CPIC Insurance"),
    "95511": ("中国平安", "Ping An"),
    "95518": ("人保财险", "PICC"),
    "95519": ("中国人寿", "China Life"),
    "95522": ("泰康保险", "Taikang Insurance"),
    "95567": ("新华保险", "New China Life"),
    "95501": ("平安银行", "Ping An Bank"),
    "95508": ("广发银行", "China Guangfa Bank"),
    "95516": ("中国银联", "UnionPay"),
    "95526": ("北京银行", "Bank of Beijing"),
    "95528": ("浦发银行", "SPD Bank"),
    "95533": ("中国建设银行", "China Construction Bank"),
    "95555": ("招商银行", "China Merchants Bank"),
    "95558": ("中信银行", "China CITIC Bank"),
    "95559": ("交通银行", "Bank of Communications"),
    "95561": ("兴业银行", "Industrial Bank"),
    "95566": ("中国银行", "Bank of China"),
    "95568": ("民生银行", "China Minsheng Bank"),
    "95577": ("华夏银行", "Hua Xia Bank"),
    "95580": ("中国邮政储蓄银行", "Postal Savings Bank"),
    "95588": ("中国工商银行", "ICBC"),
    "95595": ("中国光大银行", "China Everbright Bank"),
    "95599": ("中国农业银行", "Agricultural Bank of China"),
    "95598": ("国家电网", "State Grid"),
    "95583": ("中国国际航空", "Air China"),
    "95530": ("中国东方航空", "China Eastern"),
    "95539": ("中国南方航空", "China Southern"),
    "95188": ("支付宝", "Alipay"),
    "95017": ("腾讯", "Tencent"),
    "95187": ("淘宝", "Taobao"),
}

_NATIONWIDE = "1010"
_FAMILIES: tuple[tuple[str, int, int, tuple[str, str]], ...] = (
    ("400", 10, 10, ("400 企业电话", "Shared-cost number (400)")),
    ("800", 10, 10, ("800 免费电话", "Free phone (800)")),
    ("106", 6, 20, ("短信服务号码", "Message service number")),
    ("123", 5, 5, ("政府服务热线", "Government hotline")),
    ("95", 5, 9, ("全国客户服务号码", "Nationwide customer service")),
    ("96", 5, 8, ("省内客户服务号码", "Provincial customer service")),
    (_NATIONWIDE, 8, 8, ("全国统一接入号码", "Nationwide access number")),
    ("100", 5, 5, ("电信业务号码", "Telephone company's service")),
)
"""Beginning, shortest and longest, names."""


_AREA = re.compile("10|2[0-9]|[3-9][0-9]{2}")
_SHARED_ACCESS = "950"
"""No area code begins so: numbers of customer services that are as long as others."""
_WITH_AREA = ("95", "96", "100", "11", "12")
"""Beginnings of what people dial in another town."""


def service_name(digits: str) -> tuple[str, str] | None:
    """Chinese and English name of a service number (national digits, no prefix); None for what is none."""
    if digits in _NAMED:
        return _NAMED[digits]
    return next(
        (
            names
            for beginning, shortest, longest, names in _FAMILIES
            if digits.startswith(beginning) and shortest <= len(digits) <= longest
        ),
        None,
    )


def area_service_name(digits: str) -> tuple[str, str] | None:
    """The same of a service number of another town, with its area code and the zero before it."""
    area = _AREA.match(digits, 1) if digits.startswith("0") else None
    rest = digits[area.end() :] if area else ""
    return service_name(rest) if rest.startswith(_WITH_AREA) else None


def complete_service_name(national: str) -> tuple[str, str] | None:
    """The same of what the package takes for a whole national number: 400, 800, 950…, and services of a town."""
    if national.startswith(("400", "800", _NATIONWIDE)):  # in Beijing, area 10, no number begins with 10
        return service_name(national)
    if national.startswith(_SHARED_ACCESS):
        return service_name(national[:5])
    return area_service_name(f"0{national}")
