// Validates KEDA's objects (JSON on stdin) against the schema that @kubernetes-models/keda carries.
const { ScaledObject } = require("@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject");
for (const object of JSON.parse(require("fs").readFileSync(0, "utf8"))) new ScaledObject(object).validate();
