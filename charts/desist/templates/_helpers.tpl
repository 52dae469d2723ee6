{{/*
Every text is quoted where it is used: a release may be called 123, true or 1e3, and its namespace too.
Names are cut to 50 characters, so that the longest suffix of this chart still makes a valid label.
*/}}
{{- define "desist.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimAll "-." }}
{{- end }}

{{/* "desist" for a release called desist, "<release>-desist" for others. */}}
{{- define "desist.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimAll "-." }}
{{- else if contains (include "desist.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimAll "-." }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "desist.name" .) | trunc 50 | trimAll "-." }}
{{- end }}
{{- end }}

{{- define "desist.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "desist.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: needed where serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "desist.selectorLabels" -}}
app.kubernetes.io/name: {{ include "desist.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: controller
{{- end }}

{{/* A user's labels may not replace the chart's own: a selector would not match. Takes (dict "path" text "labels" map). */}}
{{- define "desist.ownLabels" -}}
{{- $path := .path }}
{{- range $key, $_ := .labels }}
{{- if or (hasPrefix "app.kubernetes.io/" $key) (hasPrefix "helm.sh/" $key) }}
{{- fail (printf "%s: %s is set by the chart; choose a key outside of app.kubernetes.io/ and helm.sh/" $path $key) }}
{{- end }}
{{- end }}
{{- toYaml .labels }}
{{- end }}

{{/* The labels of every object. */}}
{{- define "desist.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
app.kubernetes.io/name: {{ include "desist.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: desist
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- with .Values.commonLabels }}
{{ include "desist.ownLabels" (dict "path" "commonLabels" "labels" .) }}
{{- end }}
{{- end }}

{{/* By digest where there is one. Takes (dict "image" values "context" $). */}}
{{- define "desist.image" -}}
{{- if .image.digest }}
{{- printf "%s@%s" .image.repository .image.digest }}
{{- else }}
{{- printf "%s:%s" .image.repository (default .context.Chart.AppVersion .image.tag) }}
{{- end }}
{{- end }}

{{/* The Secret that holds the keys of push. */}}
{{- define "desist.pushSecret" -}}
{{- printf "%s-push" (include "desist.fullname" .) }}
{{- end }}

{{/* The usernames of the accounts that may do what the controller does, as a JSON list. */}}
{{- define "desist.operators" -}}
{{- $own := printf "system:serviceaccount:%s:%s" .Release.Namespace (include "desist.serviceAccountName" .) }}
{{- concat (list $own) .Values.admission.operators | uniq | toJson }}
{{- end }}
