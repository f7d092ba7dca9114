"""Django's classes with the model that they are for, which type checkers want and Django lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.contrib import admin

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin
    ModelForm = forms.ModelForm
else:

    class ModelAdmin(admin.ModelAdmin):
        """`ModelAdmin[M]` is the class itself."""

        __class_getitem__ = classmethod(lambda cls, _model: cls)

    class ModelForm(forms.ModelForm):
        """`ModelForm[M]` is the class itself."""

        __class_getitem__ = classmethod(lambda cls, _model: cls)


__all__ = ["ModelAdmin", "ModelForm"]
