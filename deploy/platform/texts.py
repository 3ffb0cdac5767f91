"""Names and sentences in many scripts, with everything in them that a careless export breaks on."""

# ruff: noqa: RUF001 - letters that look like others are what these texts are for

from __future__ import annotations

GIVEN = (
    "Åsa", "Björn", "Chloë", "Łukasz", "Zoë", "Ελένη", "Николай", "Ольга", "محمد", "ליאור", "अनन्या", "สมชาย", "小芳",
    "さくら", "지우", "José", "Nguyễn", "Ọlábísí", "Ғалым", "Þórdís",
)  # fmt: skip
FAMILY = (
    "Öberg", "O'Brien", "van der Berg, Jr.", "Çelik", "Παπαδόπουλος", "Иванова", "الحسن", "כהן", "शर्मा", "ใจดี", "王",
    "佐藤", "김", "Smith-Jones", "Ng", "d’Ålençon", "Müßig", "Đặng", "Sigurðsson", "Null",
)  # fmt: skip
TITLES = (
    "Fire safety", "Första hjälpen", "Безопасность труда", "個人情報保護", "الأمن السيبراني",
    "Δεοντολογία", "सूचना सुरक्षा", "Anti-money laundering, part 2", 'The "quiet" hours', "Onboarding\twith a tab",
)  # fmt: skip
# Line breaks of three kinds, quotes, commas, a formula, spaces at the ends, right-to-left and combining characters.
COMMENTS = (
    "Very clear, thank you.",
    'She said: "read it twice", and I did.',
    "Line one\nline two\r\nline three",
    "=1+1",
    "@home; -2 +3",
    "  spaces at both ends  ",
    "Mycket bra kurs – tack så hjärtligt!",
    "很好，但是太长了。",
    "ممتاز ١٠/١٠",
    "e\u0301te\u0301 and été",
    "👩🏽‍🏫 👍🏿 🇸🇪",
    "back\\slash, \\N and \\.",
    "",
    "NULL",
    "zero\u200bwidth and \u2028 separator",
)
ACTIONS = ("login", "logout", "view_course", "start_quiz", "finish_quiz", "download_certificate", "change_profile")
LOCALES = ("sv-SE", "en-GB", "el-GR", "ru-RU", "ar-EG", "he-IL", "hi-IN", "th-TH", "zh-CN", "ja-JP", "ko-KR", "vi-VN")
ZONES = ("Europe/Stockholm", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "America/Sao_Paulo")
